"""`python -m benchmarks.parity_promptfoo`: generated configurations through promptfoo and us."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.eval.measuring import MeasurementError
from benchmarks.parity_promptfoo import peer, product
from benchmarks.parity_promptfoo.comparing import Comparison, Difference, compare
from benchmarks.parity_promptfoo.configuration import Configuration
from benchmarks.parity_promptfoo.endpoint import ScriptedEndpoint
from benchmarks.parity_promptfoo.generating import configuration


def main() -> int:
    """Run, print, and end red where a difference is not listed."""
    arguments = _arguments()
    numbers = arguments.only or range(arguments.configurations)
    configurations = [configuration(arguments.seed, number) for number in numbers]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parity-") as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        try:
            comparisons = run(configurations, folder)
        except MeasurementError as error:
            print(f"parity-promptfoo: {error}", file=sys.stderr)
            return 2
    _print(comparisons, arguments.show, arguments.show_listed)
    print(f"seed {arguments.seed} · {time.monotonic() - started:.0f} s")
    differences = [item for found in comparisons for item in found.differences]
    return 1 if any(not item.listed for item in differences) else 0


def run(configurations: Sequence[Configuration], folder: Path) -> list[Comparison]:
    """Run both programs on every configuration, below `folder`, and compare."""
    by_number = {item.number: item for item in configurations}
    (folder / "home").mkdir(parents=True, exist_ok=True)
    with ScriptedEndpoint(by_number) as endpoint:
        jobs, peers = [], []
        for item in configurations:
            shutil.rmtree(folder / f"{item.number}", ignore_errors=True)  # Of an earlier run.
            theirs = _write(item, folder / f"{item.number}" / "promptfoo")
            ours = _write(item, folder / f"{item.number}" / "prompt-hub")
            peers.append((theirs.parent, theirs.name, endpoint.url(item.number, "promptfoo")))
            jobs.append(
                product.Job(
                    config=ours,
                    repository=ours.parent.with_name("repository"),
                    url=endpoint.url(item.number, "prompt-hub"),
                )
            )
        there = peer.run(peers, folder / "home")
        here = product.run(jobs, folder / "home")
        return [
            compare(item, theirs, ours, endpoint)
            for item, theirs, ours in zip(configurations, there, here, strict=True)
        ]


def _write(item: Configuration, folder: Path) -> Path:
    for name, text in item.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return folder / next(iter(item.files))


def _print(comparisons: Sequence[Comparison], show: int, show_listed: int) -> None:
    differences = [item for found in comparisons for item in found.differences]
    unlisted = [item for item in differences if not item.listed]
    listed = [item for item in differences if item.listed]
    for item in (*sorted(listed, key=_rank)[:show_listed], *sorted(unlisted, key=_rank)[:show]):
        print(f"--- {item.configuration} {item.key} {item.kind}")
        print(f"  there: {item.there[:600]}\n  here:  {item.here[:600]}")
        print(f"  listed: {item.listed}" if item.listed else "  not listed")
    compared = sum(found.compared for found in comparisons)
    broken = sum(found.broken for found in comparisons)
    print(f"\nconfigurations {len(comparisons)} · tests compared {compared}", end=" · ")
    print(f"left out, as promptfoo ends them with an error of its own: {broken}")
    print("| difference | listed | unlisted |\n| --- | ---: | ---: |")
    listed_by, unlisted_by = _counted(differences, listed=True), _counted(differences, listed=False)
    for kind in sorted({*listed_by, *unlisted_by}):
        print(f"| {kind} | {listed_by[kind]} | {unlisted_by[kind]} |")
    print(f"| all | {sum(listed_by.values())} | {sum(unlisted_by.values())} |")


def _rank(item: Difference) -> tuple[int, int]:
    return [*type(item.kind)].index(item.kind), item.configuration


def _counted(differences: Sequence[Difference], *, listed: bool) -> Counter[str]:
    return Counter(str(item.kind) for item in differences if bool(item.listed) is listed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configurations", type=int, default=400, metavar="N")
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these alone")
    parser.add_argument("--show", type=int, default=40, metavar="N", help="unlisted ones to print")
    parser.add_argument("--show-listed", type=int, default=0, metavar="N", help="listed ones, too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all files there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
