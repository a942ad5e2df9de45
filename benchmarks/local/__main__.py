"""`python -m benchmarks.local`: this tree beside the one before, from fresh clones, in one run."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.earlier_tree import BEFORE_PERFORMANCE
from benchmarks.eval.measuring import MeasurementError
from benchmarks.local.answers import ANSWERS, differing
from benchmarks.local.checkouts import Checkout, Spent, adopt_orphans, asserted, clone
from benchmarks.results import Ratio, record

_SCORE = re.compile(r"\bscores? \d\.\d")
_PAGE = re.compile(r"\S+\.html\b")
_FIRST_SECONDS = 60.0
_UNIT_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and record; 0 all is kept, 1 a promise is missed, 2 there is no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(_SECTIONS), default=list(_SECTIONS))
    wanted = parser.parse_args(argv).only
    try:
        adopt_orphans()
        with tempfile.TemporaryDirectory(prefix="prompt-hub-bench-") as folder:
            # The older tree first: both find packages and weights in the person's own caches.
            older = clone(BEFORE_PERFORMANCE, Path(folder) / "older")
            newer = clone("HEAD", Path(folder) / "newer")
            ratios = [ratio for name in wanted for ratio in _SECTIONS[name](newer, older)]
    except (MeasurementError, subprocess.CalledProcessError) as error:
        print(f"bench-local: {error}", file=sys.stderr)
        return 2
    return record("local", ratios)


def _lifecycle(newer: Checkout, older: Checkout) -> list[Ratio]:
    """`make up` from a fresh clone, again after `make down`, and two pushes that promote."""
    ratios: list[Ratio] = []
    spent: dict[str, dict[str, Spent]] = {"older": {}, "newer": {}}
    for name, tree in (("older", older), ("newer", newer)):
        for what, target in (("cold", "up"), ("again", "up"), ("pushes", "pushes")):
            print(f"{name} tree: make {target} ({what})", flush=True)
            spent[name][what] = tree.make(target, and_stop=True)
    for what, limit, title in (
        ("cold", 0.4, "make up, cold"),
        ("again", 0.4, "make up, again after make down"),
        ("pushes", 0.35, "two pushes until they serve, warm"),
    ):
        ours, before = spent["newer"][what], spent["older"][what]
        ratios += _beside(title, ours, before, limit)
    cold = spent["newer"]["cold"]
    for title, pattern in (("first score", _SCORE), ("first page", _PAGE)):
        seconds = cold.first(pattern)
        ratios.append(
            Ratio(
                name=f"seconds from the first command to the {title}",
                value=seconds,
                limit=_FIRST_SECONDS,
                at_most=True,
                measured=f"{seconds:.0f} s",
            )
        )
    return ratios


def _unit(newer: Checkout, older: Checkout) -> list[Ratio]:
    """`make unit`, once to compile what it imports, then measured."""
    before, ours = _warm(older, "unit"), _warm(newer, "unit")
    return [
        *_beside("make unit", ours, before, 0.5),
        Ratio(
            name="seconds of make unit",
            value=ours.wall,
            limit=_UNIT_SECONDS,
            at_most=True,
            measured=f"{ours.wall:.0f} s",
        ),
        _assertions(newer, older),
    ]


def _test(newer: Checkout, older: Checkout) -> list[Ratio]:
    """`make test`, everything that CI runs."""
    before, ours = older.make("test"), newer.make("test")
    return [*_beside("make test", ours, before, 0.5), _assertions(newer, older)]


def _answers(newer: Checkout, older: Checkout) -> list[Ratio]:
    """Count the answers of the local model that depend on what was asked before or beside."""
    return [
        Ratio(
            name=f"of {ANSWERS} answers in any order, those with other bytes",
            value=differing(),
            limit=0,
            at_most=True,
        )
    ]


def _warm(tree: Checkout, target: str) -> Spent:
    print(f"{tree.root}: make {target}, twice", flush=True)
    tree.make(target)
    return tree.make(target)


def _assertions(newer: Checkout, older: Checkout) -> Ratio:
    ours, before = asserted(newer.root), asserted(older.root)
    return Ratio(
        name="assertions of the tests, times those before",
        value=ours / before,
        limit=1,
        at_most=False,
        measured=f"{ours:,}",
        beside=f"{BEFORE_PERFORMANCE}: {before:,}",
    )


def _beside(title: str, ours: Spent, before: Spent, limit: float) -> list[Ratio]:
    """Wall and CPU seconds of one command as ratios; on a busy machine CPU is what to read."""
    return [
        Ratio(
            name=f"{title}: {what} seconds, of those before",
            value=now / then,
            limit=limit,
            at_most=True,
            measured=f"{now:.0f} s",
            beside=f"{BEFORE_PERFORMANCE}: {then:.0f} s",
        )
        for what, now, then in (
            ("wall", ours.wall, before.wall),
            ("CPU", ours.cpu, before.cpu),
        )
    ]


_SECTIONS: Mapping[str, Callable[[Checkout, Checkout], list[Ratio]]] = {
    "answers": _answers,
    "lifecycle": _lifecycle,
    "unit": _unit,
    "test": _test,
}

if __name__ == "__main__":
    sys.exit(main())
