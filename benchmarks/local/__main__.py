"""`python -m benchmarks.local`: this tree beside the one before, from fresh clones, in one run."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.earlier_tree import BEFORE_PERFORMANCE, BEFORE_TESTED_ONCE
from benchmarks.eval.measuring import MeasurementError
from benchmarks.local.answers import ANSWERS, differing
from benchmarks.local.checkouts import Checkout, Spent, adopt_orphans, asserted, clone
from benchmarks.results import Ratio, Recording

_SCORE = re.compile(r"\bscores? \d\.\d")
_PAGE = re.compile(r"\S+\.html\b")
_FIRST_SECONDS = 60.0
_UNIT_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and record; 0 all is kept, 1 a promise is missed, 2 there is no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(_SECTIONS), default=list(_SECTIONS))
    wanted = parser.parse_args(argv).only
    unmeasured = False
    try:
        adopt_orphans()
        with tempfile.TemporaryDirectory(prefix="prompt-hub-bench-") as folder:
            older = clone(BEFORE_PERFORMANCE, Path(folder) / "older")
            newer = clone("HEAD", Path(folder) / "newer")
            recording = Recording("local")
            for name in wanted:
                try:
                    for ratios in _SECTIONS[name](newer, older):
                        recording.add(ratios)
                except MeasurementError as error:
                    print(f"bench-local: {name}: {error}", file=sys.stderr, flush=True)
                    unmeasured = True
    except MeasurementError as error:
        print(f"bench-local: {error}", file=sys.stderr)
        return 2
    return 2 if unmeasured else int(not recording.kept)


def _lifecycle(newer: Checkout, older: Checkout) -> Iterator[Sequence[Ratio]]:
    """`make up` from a fresh clone, and two pushes that promote."""
    before, ours = _each(newer, older, "up")
    yield [
        Ratio(
            name=f"seconds from the first command to the {title}",
            value=seconds,
            limit=_FIRST_SECONDS,
            at_most=True,
            measured=f"{seconds:.0f} s",
        )
        for title, seconds in (
            ("first score", ours.first(_SCORE)),
            ("first page", ours.first(_PAGE)),
        )
    ]
    yield _beside("make up, cold", ours, before, 0.4)
    before, ours = _each(newer, older, "pushes")
    yield _beside("two pushes until they serve, warm", ours, before, 0.35)


def _again(newer: Checkout, _: Checkout) -> Iterator[Sequence[Ratio]]:
    """`make up` again after `make down`, beside the tree that the promise was made of.

    The tree that all else is compared with has its first gain already: code that passed its tests
    is not tested by every execution (docs/decisions/1011).

    Raises:
        MeasurementError: the run before it failed in one of the trees.
    """
    tested_each_time = clone(BEFORE_TESTED_ONCE, newer.root.parent.parent / "tested-each-time")
    for tree in (tested_each_time, newer):
        if not tree.state.exists():
            first = tree.make("up", and_stop=True)
            if first.failure:
                raise MeasurementError(
                    f"the first `make up` of {tree.name} failed: {first.failure}"
                )
    before, ours = _each(newer, tested_each_time, "up")
    yield _beside("make up, again after make down", ours, before, 0.4, commit=BEFORE_TESTED_ONCE)


def _unit(newer: Checkout, _: Checkout) -> Iterator[Sequence[Ratio]]:
    """`make unit`, once all that it imports is compiled.

    Raises:
        MeasurementError: a test failed.
    """
    newer.make("unit", "WORKERS=--collect-only")
    ours = newer.make("unit")
    if ours.failure:
        raise MeasurementError(f"our `{ours.command}` failed: {ours.failure}")
    yield [
        Ratio(
            name="seconds of make unit",
            value=ours.wall,
            limit=_UNIT_SECONDS,
            at_most=True,
            measured=f"{ours.wall:.0f} s",
        )
    ]


def _test(newer: Checkout, older: Checkout) -> Iterator[Sequence[Ratio]]:
    """`make test`, everything that CI runs: every tier, though one before it has failed.

    Seconds are those of an assertion: the suite has grown since (docs/decisions/1019).
    """
    before, ours = older.make("-k", "test"), newer.make("-k", "test")
    assertions = asserted(newer.root), asserted(older.root)
    yield [
        *_beside("make test", ours, before, 0.5, assertions=assertions),
        Ratio(
            name="assertions of the tests, times those before",
            value=assertions[0] / assertions[1],
            limit=1,
            at_most=False,
            measured=f"{assertions[0]:,}",
            beside=f"{BEFORE_PERFORMANCE}: {assertions[1]:,}",
        ),
    ]


def _each(newer: Checkout, older: Checkout, target: str) -> tuple[Spent, Spent]:
    """Measure `target` in the older tree, then in the newer one, the other one stopped."""
    return older.make(target, and_stop=True), newer.make(target, and_stop=True)


def _answers(newer: Checkout, older: Checkout) -> Iterator[Sequence[Ratio]]:
    """Count the answers of the local model that depend on what was asked before or beside."""
    yield [
        Ratio(
            name=f"of {ANSWERS} answers in any order, those with other bytes",
            value=differing(),
            limit=0,
            at_most=True,
        )
    ]


def _beside(
    title: str,
    ours: Spent,
    before: Spent,
    limit: float,
    *,
    assertions: tuple[int, int] | None = None,
    commit: str = BEFORE_PERFORMANCE,
) -> list[Ratio]:
    """Wall and CPU seconds of one command as ratios; on a busy machine CPU is what to read.

    Tests are compared by the seconds of one of their `assertions`, ours and those before. Where
    some of the older tree fail on this machine, they have run all the same: its seconds count, and
    it is said. Those that failed at a time limit have waited for it: then the numbers are kept, and
    prove nothing. A failing command of any other kind has no seconds.

    Raises:
        MeasurementError: a command failed whose seconds say nothing then.
    """
    for spent in (ours,) if assertions else (before, ours):
        if spent.failure:
            whose = "the older tree's" if spent is before else "our"
            raise MeasurementError(f"{title}: {whose} `{spent.command}` failed: {spent.failure}")
    failed = " (some tests fail there)" if before.failure else ""
    ours_of, before_of = assertions or (1, 1)
    unproven = "tests of the older tree waited for their time limits" if before.gave_up else ""
    unit = "seconds an assertion" if assertions else "seconds"
    return [
        Ratio(
            name=f"{title}: {what} {unit}, of those {_before(commit)}",
            value=(now / ours_of) / (then / before_of),
            limit=limit,
            at_most=True,
            measured=f"{now:.0f} s",
            beside=f"{commit}: {then:.0f} s{failed}",
            unproven=unproven,
        )
        for what, now, then in (
            ("wall", ours.wall, before.wall),
            ("CPU", ours.cpu, before.cpu),
        )
    ]


def _before(commit: str) -> str:
    """Say whose seconds they are; a ratio beside another tree is no point of the same trend."""
    return "before" if commit == BEFORE_PERFORMANCE else f"of {commit}"


_SECTIONS: Mapping[str, Callable[[Checkout, Checkout], Iterator[Sequence[Ratio]]]] = {
    "lifecycle": _lifecycle,
    "again": _again,
    "unit": _unit,
    "test": _test,
    "answers": _answers,
}

if __name__ == "__main__":
    sys.exit(main())
