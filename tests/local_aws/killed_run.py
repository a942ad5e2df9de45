"""A file of records while containers are killed, the local AWS ends and the provider is away.

    python -m tests.local_aws.killed_run [--seed N]

Prints a table of what has to hold, and ends red where something does not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prompt_hub.batch.run_plan import Shard, read_shards, require_plan
from prompt_hub.core import aws_names
from tests.local_aws.emulator import LocalAws, eventually
from tests.local_aws.records_stage import TASK, RecordsStage, records_stage, rows

ON_ITS_WAY_SECONDS = 0.7


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What happens during one run; the points in time are drawn by `seed`."""

    records: int
    kills: int
    outage_seconds: float
    seed: int


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    expected: str
    found: str
    holds: bool


@dataclass
class Losses:
    """What of the answers was not stored when processes ended: it may be asked again."""

    times: Counter[int] = field(default_factory=Counter)
    """How often each record was not stored when a process ended that had to ask about it."""
    in_flight: int = 0
    not_stored: int = 0
    """Answers of the last second."""


@dataclass
class KilledRun:
    """One file, dropped into a stage, and all that befalls its run."""

    records: RecordsStage
    faults: Faults
    say: Callable[[str], None] = lambda line: None
    losses: Losses = field(default_factory=Losses)
    kills: int = 0

    def run(self) -> list[Row]:
        """Answer the file whatever happens, and compare; returns the table."""
        text = rows(self.faults.records)
        alone = self._in_one_process(text)
        model = self.records.model
        model.asked.clear()
        model.seconds = 0.1
        self._random = random.Random(self.faults.seed)
        before = len(self.records.executions())
        began = time.monotonic()
        self._run = self.records.drop(text, "parts.csv")
        self._await_shards()
        upto = self.faults.records * 9 // 10  # later, none may be left to be killed
        points = sorted(self._random.sample(range(1, upto), self.faults.kills))
        happenings: list[tuple[int, Callable[[], bool]]] = [(at, self._kill) for at in points]
        happenings += [(self.faults.records // 2, self._outage)]
        happenings += [(3 * self.faults.records // 4, self._restart)]
        for at, happens in sorted(happenings, key=lambda each: each[0]):
            self._await(lambda at=at: len(model.asked) >= at, f"question {at}")
            self._await(happens, "a container to kill")
        execution = self.records.ended(before + 1, seconds=1800)
        self.say(f"ended as {execution['status']} after {time.monotonic() - began:.0f} s")
        return self._table(execution["status"], alone)

    # --- What befalls it -------------------------------------------------------------------------

    def _kill(self) -> bool:
        """Kill one of the containers that answer; False while there is none."""
        running = _containers(self._run)
        if not running:
            return False
        shard = self._random.choice(sorted(running))
        stored = self._stored(shard)
        killed = 0
        for pid in running[shard]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        if not killed:
            return False  # it was at its end
        self.kills += 1
        lost = self._note_losses([shard], {shard: stored})
        at = len(self.records.model.asked)
        self.say(f"{at:5} asked: killed the container of shard {shard}, {lost} answers lost")
        return True

    def _outage(self) -> bool:
        seconds = self.faults.outage_seconds
        self.say(f"{len(self.records.model.asked):5} asked: the provider is away for {seconds:g} s")
        self.records.model.fail_for(seconds)
        return True

    def _restart(self) -> bool:
        stored = {each.shard: self._stored(each.shard) for each in self._shards}
        at = len(self.records.model.asked)
        self.records.aws.stop()
        lost = self._note_losses(list(stored), stored)
        self.say(f"{at:5} asked: the local AWS ends and begins again, {lost} answers lost")
        self.records.aws.start()
        return True

    def _note_losses(self, shards: list[int], stored: dict[int, set[int]]) -> int:
        model = self.records.model
        flying = Counter(model.in_flight)
        # What they have sent is read by the model in this time; none of their like has begun yet.
        time.sleep(ON_ITS_WAY_SECONDS)
        asked = Counter(model.asked)
        lost = 0
        for shard in (each for each in self._shards if each.shard in shards):
            numbers = range(shard.first, shard.first + shard.records)
            for number in numbers:
                if number in stored[shard.shard]:
                    continue
                # Also if it was not asked yet: a request may be read later on a busy machine.
                self.losses.times[number] += 1
                if asked[number]:
                    self.losses.in_flight += flying[number] > 0
                    self.losses.not_stored += flying[number] == 0
                    lost += 1
        return lost

    def _stored(self, shard: int) -> set[int]:
        """Numbers of the records of a shard whose answers are in the bucket."""
        objects, numbers = self.records.objects, set()
        final = aws_names.run_key(TASK, self._run, f"out/{shard:05}.jsonl")
        parts = aws_names.run_key(TASK, self._run, f"part/{shard:05}/")
        for key in (*objects.keys(final), *objects.keys(parts)):
            for line in (objects.read(key) or b"").splitlines():
                if "record" in (value := json.loads(line)):
                    numbers.add(value["record"])
        return numbers

    # --- What is waited for, and compared --------------------------------------------------------

    def _in_one_process(self, text: str) -> bytes:
        folder = self.records.stage.folder.root.parent
        source, output = folder / "alone.csv", folder / "alone.jsonl"
        source.write_text(text, encoding="utf-8")
        self.records.stage.run("run", TASK, str(source), str(output))
        return output.read_bytes()

    def _await_shards(self) -> None:
        objects = self.records.objects
        plan_key = aws_names.run_key(TASK, self._run, "plan.json")
        self._await(lambda: objects.read(plan_key) is not None, "the plan")
        plan = require_plan(objects, TASK, self._run)
        self._shards: tuple[Shard, ...] = read_shards(objects, plan)
        self.say(f"{plan.records} records in {plan.shards} shards, {plan.children} at once")

    def _await(self, probe: Callable[[], bool], what: str) -> None:
        eventually(probe, seconds=1200, every=0.02, what=what)

    def _table(self, status: str, alone: bytes) -> list[Row]:
        faults, model = self.faults, self.records.model
        output = self.records.read(self._run, "output.jsonl") if status == "SUCCEEDED" else b""
        numbers = [json.loads(line)["record"] for line in output.splitlines()]
        calls, lost = model.asked.total(), self.losses.in_flight + self.losses.not_stored
        paid_twice = calls - len(model.asked)
        beyond = [
            number for number, times in model.asked.items() if times > 1 + self.losses.times[number]
        ]
        in_order = numbers == [*range(1, faults.records + 1)]

        def row(what: str, expected: object, found: object, holds: bool) -> Row:
            return Row(what, str(expected), str(found), holds)

        return [
            row("execution", "SUCCEEDED", status, status == "SUCCEEDED"),
            row("containers killed", faults.kills, self.kills, self.kills == faults.kills),
            row("requests refused in the outage", "> 0", model.refused, model.refused > 0),
            row("records, once and in order", faults.records, len(numbers), in_order),
            row("bytes as of one process", len(alone), len(output), output == alone),
            row("asked twice though it was stored", 0, len(beyond), not beyond),
            row(
                "paid twice, at most what was on its way",
                f"<= {lost} ({self.losses.in_flight} in flight,"
                f" {self.losses.not_stored} of the last second)",
                f"{paid_twice} of {calls} calls",
                paid_twice <= lost,
            ),
        ]


def kill_plans(run: str) -> int:
    """Kill every process that plans a run; returns how many there were."""
    killed = 0
    for line in _processes(run):
        if "records plan" in line:
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
                killed += 1
    return killed


def _containers(run: str) -> dict[int, list[int]]:
    """The processes that answer shards of a run, by shard."""
    found: dict[int, list[int]] = {}
    for line in _processes(run):
        if shard := re.search(r"records answer .*--shard (\d+)", line):
            found.setdefault(int(shard[1]), []).append(int(line.split()[0]))
    return found


def _processes(run: str) -> list[str]:
    """Id and command of every process that works on a run."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if f"--run {run}" in line]


def main() -> int:
    """Run it whole; returns 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="make killed-records", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--outage", type=float, default=60.0)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="prompt-hub-killed-") as name:
        aws = LocalAws(state=Path(name) / "aws")
        aws.start()
        try:
            faults = Faults(
                records=arguments.records,
                kills=arguments.kills,
                outage_seconds=arguments.outage,
                seed=arguments.seed,
            )
            per_shard = max(1, arguments.records // 10)
            with records_stage(
                aws, Path(name) / "stage", children=5, shard_records=per_shard, concurrency=20
            ) as records:
                table = KilledRun(records, faults, lambda line: print(line, flush=True)).run()
        finally:
            aws.stop()
    return show(table)


def show(table: list[Row]) -> int:
    """Print the table; returns 1 where something does not hold."""
    width = max(len(row.what) for row in table)
    for row in table:
        verdict = "ok" if row.holds else "DOES NOT HOLD"
        print(f"{row.what:{width}}  {verdict:4}  {row.found}  (expected {row.expected})")
    return 0 if all(row.holds for row in table) else 1


if __name__ == "__main__":
    sys.exit(main())
