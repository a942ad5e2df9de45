"""A file of many records in a stage of this machine, a rollback, and the repair that follows it.

It builds on a finished `make up`. A model without weights answers meanwhile: ten thousand records
would take the local one hours.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from local_aws.aliases import FLOATING, aliases, set_alias
from local_aws.countdown import Countdown
from local_aws.executions import Executions
from local_aws.processes import LocalRunError
from local_aws.regression import TASK
from local_aws.run_report import Story, say
from local_aws.scripted_model import SCRIPTED
from local_aws.stack import HUB, STAGE, LocalStack
from local_aws.stack_reader import Observer
from local_aws.versions import order_of
from local_aws.weights import DEFAULT

PERSON = "On call"
REASON = "shown by make records"
"""Who moves the pointer in a run, and why; by the reason the next one knows what it has left."""
FIELDS = {"part_number": "Artikelnummer", "title": "Bezeichnung", "manufacturer": "Hersteller"}
"""The task's input fields, and columns that its metadata declares for them."""


class RecordsRun:
    """One file of records, answered in the stage by a version that is taken back afterwards."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.observer = Observer(stack)
        self.story = Story(
            "Prompt Hub: a file of records, a rollback, a repair",
            Countdown(stack.state / "seconds-records.json"),
        )
        self._output = stack.state / "answered.jsonl"

    def run(self, rows: Path | None, count: int) -> None:
        """Answer `count` records, roll back, and repair; records of `rows` are repeated.

        Raises `LocalRunError` in one sentence.
        """
        if not (self.stack.state / "told.json").exists():
            raise LocalRunError("this builds on a finished run; run `make up` first.")
        examples = self.stack.root / "prompts" / "01-examples" / f"{TASK}.jsonl"
        inputs = inputs_in(rows or examples)
        with self.story.step("Models, and a local AWS, on loopback") as lines:
            self.stack.start()
            say(lines, f"AWS at {self.stack.endpoint}")
        self._switch_on()
        self._bring_back()
        table = self.stack.state / "many.csv"
        with self.story.step(
            f"{count:,} records of a catalogue, as a spreadsheet has them"
        ) as lines:
            self._write(table, inputs, count)
            say(lines, f"{table}: {table.stat().st_size:,} bytes")
        bad = str(self.observer.pointer(TASK)["version"])
        good = self._older_than(bad)
        with self._scripted():
            with self.story.step(
                "The file is dropped into the stage's bucket and answered"
            ) as lines:
                self._output.unlink(missing_ok=True)
                output = self._hub("run", TASK, str(table), str(self._output), "--stage", STAGE)
                for line in output.splitlines()[-3:]:
                    say(lines, line.strip())
            with self.story.step(f"{TASK} goes back to {good}") as lines:
                say(lines, self._ledger("downgrade", good))
            with self.story.step(f"What {bad} answered is made again by {good}") as lines:
                output = self._hub("repair", TASK, "--version", bad, "--stage", STAGE, "--yes")
                for line in output.splitlines():
                    say(lines, line.strip())
                page = self._page(output)
            with self.story.step(f"{TASK} {bad} is not bad: it comes back, by hand") as lines:
                say(lines, self._ledger("activate", bad, "--no-watch"))
        print(f"\nDone in {self.story.seconds:.0f} s. What the repair changed: open {page}")

    def _switch_on(self) -> None:
        """Let the stage answer files of records, if it does not: by a commit, like any change."""
        clone = self.stack.clone(self.stack.demo)
        settings = clone / "cdk.json"
        content = json.loads(settings.read_text(encoding="utf-8"))
        stages = content["context"]["prompt-hub"]["stages"]
        (stage,) = (each for each in stages if each["name"] == STAGE)
        if "records" not in stage:
            stage["records"] = {}
            settings.write_text(f"{json.dumps(content, indent=2)}\n", encoding="utf-8")
        states = self.observer.running(set())
        going = {execution for execution, status in states.items() if status == "InProgress"}
        # A run that was ended, or whose push an author's overtook, has left it unpushed.
        commit = self.stack.push("Let the stage answer files of records")
        if commit is None and not going:
            return
        with self.story.step(f"`records` for {STAGE} in cdk.json: the pipeline brings it") as lines:
            executions = Executions(self.stack, self.observer, self.story)
            if commit is None:
                say(lines, "pushed already; an execution that goes on is waited for")
                executions.note_end(executions.await_execution(set(states) - going, lines))
                return
            say(lines, f"pushed {commit[:8]}")
            execution = executions.await_execution(set(states), lines)
            # A candidate of an author's that is blocked in it takes nothing of this away.
            executions.require_green(execution, or_blocked=True)

    def _bring_back(self) -> None:
        """Bring back the version that a run which was ended has taken back, if one has."""
        states = self.observer.version_states(TASK)
        left = [version for version, state in states.items() if state == "downgraded"]
        if left and self.observer.pointer(TASK)["reason"] == REASON:
            version = max(left, key=order_of)
            with self.story.step(
                f"{TASK} {version} comes back: a run that was ended has left it out"
            ) as lines:
                say(lines, self._ledger("activate", version, "--no-watch"))

    @cached_property
    def _released(self) -> Path:
        """The clone of the lifecycle's author, which has what promotion has written by now."""
        return self.stack.clone(self.stack.demo)

    def _older_than(self, active: str) -> str:
        """Return the version before the active one, which the stage's image carries, too."""
        archive = self._released / "prompts" / "99-archive" / TASK
        kept = (path.stem for path in archive.glob("*.yaml"))
        older = [version for version in kept if order_of(version) < order_of(active)]
        if not older:
            raise LocalRunError(f"{TASK} {active} has no version before it to go back to.")
        return max(older, key=order_of)

    def _write(self, table: Path, inputs: Sequence[Mapping[str, str]], count: int) -> None:
        with table.open("w", encoding="utf-8", newline="") as file:
            sheet = csv.writer(file, delimiter=";")
            sheet.writerow(FIELDS.values())
            for number, fields in enumerate(itertools.islice(itertools.cycle(inputs), count)):
                # Repeated, and yet each a part of its own.
                fields = {**fields, "part_number": f"{fields['part_number']}/{number}"}
                sheet.writerow([fields[name] for name in FIELDS])

    @contextmanager
    def _scripted(self) -> Iterator[None]:
        """Let the model without weights stand behind every name that prompts ask for."""
        state = self.stack.state / "model"
        names = (FLOATING, DEFAULT.name)
        known = aliases(state)
        before = {name: known.get(name, name) for name in names}
        try:
            for name in names:
                set_alias(state, name, SCRIPTED)
            yield
        finally:
            # The floating one last: by it `make status` tells that the usual one is not back yet.
            for name in reversed(names):
                # A run that was killed has left it there, and both names are usually this model's.
                usual = DEFAULT.name if before[name] == SCRIPTED else before[name]
                set_alias(state, name, usual)

    def _page(self, said: str) -> Path:
        """Bring the page of the differences from the bucket."""
        bucket, key = re.findall(r"s3://([^\s/]+)/(\S+changes\.html)", said)[-1]
        page = self.stack.state / "repair.html"
        self.stack.objects.download_file(bucket, key, str(page))
        return page

    def _ledger(self, action: str, version: str, *more: str) -> str:
        signed = ("--person", PERSON, "--reason", REASON)
        return self._hub("ledger", action, TASK, "--stage", STAGE, "--to", version, *signed, *more)

    def _hub(self, *words: str) -> str:
        return self.stack.run(
            [*HUB, *words],
            # Real rows lack this and that: 1 says that lines of some have an error.
            accept=(0, 1) if words[0] in ("run", "repair") else (0,),
            extra={
                "PROMPT_HUB_ROOT": str(self._released),
                "PROMPT_HUB_INSTALLATION": self.stack.installation,
            },
        )


def inputs_in(rows: Path) -> list[dict[str, str]]:
    """Return the task's fields of each line; raises `LocalRunError` where a line lacks one."""
    try:
        with rows.open(encoding="utf-8") as lines:
            whole = [json.loads(line)["input"] for line in lines if line.strip()]
        inputs = [{name: fields[name] for name in FIELDS} for fields in whole]
    except OSError as error:
        raise LocalRunError(f"{rows} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LocalRunError(
            f"{rows} is to hold JSON lines with an `input` of {', '.join(FIELDS)} each: {error!r}."
        ) from None
    if not inputs:
        raise LocalRunError(f"{rows} holds no record.")
    return inputs
