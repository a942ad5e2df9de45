"""`python -m benchmarks.scale`: `validate` of a million example lines, and `cdk synth` of our app.

Seconds are those of the processor, user and system, of a process and its children: on a machine
with other work they say what a quiet one would.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.earlier_tree import BEFORE_PERFORMANCE, earlier_tree
from benchmarks.eval.measuring import MeasurementError
from benchmarks.eval.printing import table
from benchmarks.results import ROOT, Ratio, record
from benchmarks.scale.repository import make_repository

FOLDER = ROOT / ".local" / "bench-scale"
LINES = 1000
"""Example lines of each task."""
RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process and its children took."""

    seconds: float
    megabytes: float
    """The most that its largest process had in memory."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections and record their ratios; 2 where something cannot be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    sections = {"validate": _validate, "synth": _synth}
    parser.add_argument("--only", nargs="*", choices=[*sections], default=[*sections])
    parser.add_argument("--tasks", type=int, default=1000, help="tasks of 1,000 lines each")
    arguments = parser.parse_args(argv)
    try:
        ratios = [
            ratio
            for name, section in sections.items()
            if name in arguments.only
            for ratio in section(arguments.tasks)
        ]
    except MeasurementError as error:
        print(f"bench-scale: {error}", file=sys.stderr)
        return 2
    return record("scale", ratios)


# --- validate ----------------------------------------------------------------------------------


def _validate(tasks: int) -> Sequence[Ratio]:
    whole, half = _repository(tasks), _repository(tasks // 2)
    ours = [sys.executable, "-m", "prompt_hub.cli.main", "validate"]
    with earlier_tree() as tree:
        theirs = [str(tree.python), "-m", "prompt_hub.cli.main", "validate"]
        path = str(tree.path / "pipeline_image")
        # Over a minute, so once; it stands between our runs.
        before: Cost | None = None
        of_whole, of_half = [], []
        for _ in range(RUNS):
            of_whole.append(_cost(ours, whole))
            of_half.append(_cost(ours, half))
            before = before or _cost(theirs, whole, {"PYTHONPATH": path})
    assert before is not None
    now, less = _median(of_whole), _median(of_half)
    rows = [
        [name, f"{lines:,}", f"{cost.seconds:.1f}", f"{cost.megabytes:,.0f}", f"{each:.1f}"]
        for name, cost, lines in (
            ("now", less, tasks // 2 * LINES),
            ("now", now, tasks * LINES),
            (f"at {BEFORE_PERFORMANCE}", before, tasks * LINES),
        )
        for each in [cost.seconds / lines * 1e6]
    ]
    print(table(["validate", "lines", "CPU s", "peak MB", "µs a line"], rows), flush=True)
    lines = tasks * LINES
    return [
        Ratio(
            name=f"`validate`, {tasks:,} tasks, {lines:,} lines: CPU a line, of the earlier tree's",
            value=now.seconds / before.seconds,
            limit=1 / 3,
            at_most=True,
            measured=f"{now.seconds:.1f} s, {now.seconds / lines * 1e6:.1f} µs a line",
            beside=f"{BEFORE_PERFORMANCE}: {before.seconds:.1f} s",
            runs=RUNS,
        ),
        Ratio(
            name="`validate`: CPU of twice the tasks, times the half's",
            value=now.seconds / less.seconds,
            limit=2.4,
            at_most=True,
            measured=f"{now.seconds:.1f} s",
            beside=f"half: {less.seconds:.1f} s",
            runs=RUNS,
        ),
        Ratio(
            name="`validate`: peak of memory, of the earlier tree's",
            value=now.megabytes / before.megabytes,
            limit=0.1,
            at_most=True,
            measured=f"{now.megabytes:,.0f} MB",
            beside=f"{BEFORE_PERFORMANCE}: {before.megabytes:,.0f} MB",
            runs=RUNS,
        ),
    ]


def _repository(tasks: int) -> Path:
    root = FOLDER / f"{tasks}-tasks"
    if not (root / "ready").exists():
        shutil.rmtree(root, ignore_errors=True)
        size = make_repository(root, tasks, LINES)
        print(f"{tasks:,} tasks, {tasks * LINES:,} lines, {size / 1e6:,.0f} MB", flush=True)
        (root / "ready").touch()
    return root


# --- cdk synth ---------------------------------------------------------------------------------


def _synth(_: int) -> Sequence[Ratio]:
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    environment = {
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_VALIDATION": "false",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }
    commands = {
        "libraries read by Python": [sys.executable, "-c", "import benchmarks.scale.bare_app"],
        "a bare app": [sys.executable, "-m", "benchmarks.scale.bare_app"],
        "ours": [sys.executable, "app.py"],
    }
    outputs = {name: FOLDER / f"{name.replace(' ', '-')}.out" for name in commands}
    runs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(RUNS + 1):
        for name, command in commands.items():
            cost = _cost(command, ROOT, {**environment, "CDK_OUTDIR": str(outputs[name])})
            if number:  # The first run compiles and unpacks what all later ones find.
                runs[name].append(cost)
    found = {name: _median(costs) for name, costs in runs.items()}
    rows = [[name, f"{cost.seconds:.2f}", f"{cost.megabytes:,.0f}"] for name, cost in found.items()]
    print(table(["cdk synth, validator off", "CPU s", "peak MB"], rows), flush=True)
    ours, bare = found["ours"], found["a bare app"]
    if lacking := _kinds(outputs["ours"]) - _kinds(outputs["a bare app"]):
        raise MeasurementError(f"the bare app has nothing like our {', '.join(sorted(lacking))}")
    return [
        Ratio(
            name="`cdk synth`, validator off: CPU, of a bare app's with the same libraries",
            value=ours.seconds / bare.seconds,
            limit=1.3,
            at_most=True,
            measured=f"{ours.seconds:.1f} s",
            beside=f"bare app: {bare.seconds:.1f} s",
            runs=RUNS,
        )
    ]


def _kinds(output: Path) -> set[str]:
    """Return the kinds of resources in the templates of a synthesis."""
    templates = [json.loads(path.read_bytes()) for path in output.rglob("*.template.json")]
    return {each["Type"] for found in templates for each in found["Resources"].values()}


# --- processes ---------------------------------------------------------------------------------


def _cost(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end; raises `MeasurementError` where it fails."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        # As for everybody: what is imported is compiled once, here beside the trees.
        "PYTHONPYCACHEPREFIX": str(FOLDER / "pycache"),
        "PROMPT_HUB_ROOT": str(folder),
        **(more or {}),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (FOLDER / "output.txt").read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise MeasurementError(
            f"{' '.join(command[:3])} ended with {process.returncode}: {' '.join(said)}"
        )
    return Cost(seconds=used.ru_utime + used.ru_stime, megabytes=used.ru_maxrss / 1024)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        seconds=median(cost.seconds for cost in costs),
        megabytes=median(cost.megabytes for cost in costs),
    )


if __name__ == "__main__":
    sys.exit(main())
