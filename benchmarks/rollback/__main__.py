"""Drills on a local AWS: from the first bad sample to the first good answer, and who restored it.

Each drill makes the model wrong about one task's active version, runs one round of the score watch,
and asks the service until the version before answers. First the score watch asks for the rollback
itself; then it cannot reach the function, and the alarm alone is left.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from benchmarks.rollback.model import DrillModel
from benchmarks.rollback.repository import NEW, OLD, build
from benchmarks.rollback.stage import DrillError, DrillStage
from prompt_hub.ledger.table import Ledger

POLL_SECONDS = 5.0
PROMISED_P95 = 5.0
"""Seconds from the first bad sample to the first good answer, through the direct path."""
ALARM_P95 = 10.0
"""The same through the alarm alone, on a local AWS that evaluates alarms every second."""
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What one drill took, in seconds from the first bad sample."""

    by: str
    decided: float
    answered: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the drills; 0 all promises are kept, 1 one is missed, 2 a drill could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--drills", type=int, default=20, help="how many on each path")
    parser.add_argument("--seed", type=int, default=10, help="of the pauses between drills")
    arguments = parser.parse_args(argv)
    tasks = tuple(f"drill-{number:02}" for number in range(2 * arguments.drills))
    draw = random.Random(arguments.seed)
    try:
        with tempfile.TemporaryDirectory() as name, DrillModel() as model:
            folder = Path(name)
            print(f"{len(tasks)} tasks of two versions are released ...", flush=True)
            release = build(folder / "repository", tasks, model.models)
            with DrillStage(folder, folder / "repository", model.models, POLL_SECONDS) as stage:
                ledger = stage.serve(release)
                kept = True
                for path, promised in (("round", PROMISED_P95), ("alarm", ALARM_P95)):
                    part = (
                        tasks[: arguments.drills] if path == "round" else tasks[arguments.drills :]
                    )
                    drills = [_drill(stage, model, ledger, task, path, draw) for task in part]
                    kept = _tell(path, drills, promised) and kept
    except DrillError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    return 0 if kept else 1


def _drill(
    stage: DrillStage, model: DrillModel, ledger: Ledger, task: str, path: str, draw: random.Random
) -> Drill:
    if stage.answering_version(task) != NEW:
        raise DrillError(f"{task} is not answered by {NEW} before its drill")
    # The service looks at the ledger every few seconds: drills begin anywhere between two looks.
    time.sleep(draw.uniform(0, POLL_SECONDS))
    model.degraded.add(f"{task} {NEW}")
    watch = stage.measure(task, by_alarm_alone=path == "alarm")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while stage.answering_version(task) != OLD:
        if time.monotonic() > deadline:
            raise DrillError(f"{task} was not restored within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.05)
    answered = time.time()
    if watch.wait(60):
        raise DrillError(f"the score watch of {task} ended with {watch.returncode}")
    event, first = ledger.events(task)
    by = str(cast(Mapping[str, object], event.evidence["trigger"])["kind"])
    if (event.kind.value, first.kind.value, by) != ("rolled-back", "seeded", path):
        raise DrillError(f"{task}: {event.kind.value} after {first.kind.value}, by {by}")
    bad = min(_epoch(s.at) for s in ledger.samples(task, 10) if s.version == NEW)
    drill = Drill(by=by, decided=_epoch(event.at) - bad, answered=answered - bad)
    print(f"{task} by {by}: decided {drill.decided:5.2f} s, answered {drill.answered:5.2f} s")
    sys.stdout.flush()
    return drill


def _tell(path: str, drills: Sequence[Drill], promised: float) -> bool:
    print(f"\n{len(drills)} drills by {path}, seconds from the first bad sample, at a poll of 5 s")
    print("| until | least | median | p95 | most |\n|---|---|---|---|---|")
    for name, seconds in (
        ("the ledger is written", [drill.decided for drill in drills]),
        ("the first good answer", [drill.answered for drill in drills]),
    ):
        middle, p95 = statistics.median(seconds), _p95(seconds)
        print(f"| {name} | {min(seconds):.1f} | {middle:.1f} | {p95:.1f} | {max(seconds):.1f} |")
    kept = _p95([drill.answered for drill in drills]) <= promised
    print(f"{'kept' if kept else 'MISSED'}: p95 of at most {promised:.0f} s\n", flush=True)
    return kept


def _p95(seconds: Sequence[float]) -> float:
    if len(seconds) < 2:
        return seconds[0]
    return statistics.quantiles(seconds, n=20, method="inclusive")[18]


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())
