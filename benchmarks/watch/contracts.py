"""Comparisons of contracts, as live calls ask for them: how often they err, and how soon they show.

Calls are assumed to look bad all month, which is the worst that callers can do: the comparison then
is all that stands between a pointer and a false rollback. And every run is taken for one, beside
those that calls may ask for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from statistics import fmean, stdev

from benchmarks.watch.rules import ERROR
from benchmarks.watch.scenarios import SIZE
from prompt_hub.ledger.detector import (
    CONTRACT_SHARE,
    RUNS_A_COMPARISON,
    Detector,
    Evidence,
    error_of_contracts,
    log_wins_for_control,
    wants_comparison,
)

MONTH = round(30 * 96 * (1 + 1 / RUNS_A_COMPARISON))
STATED = 0.01 * CONTRACT_SHARE
"""False rollbacks a task-month by contracts, at most."""
LONGEST = 500


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Chance by example that an answer breaks its contract, of active version and way back."""

    name: str
    active: tuple[float, ...]
    control: tuple[float, ...] = (0.0,) * SIZE


def _split(first: float, second: float) -> tuple[float, ...]:
    return (first,) * (SIZE // 2) + (second,) * (SIZE // 2)


ALIKE = (
    Broken(name="none breaks, callers send what no example has", active=(0.0,) * SIZE),
    Broken(name="both break one in ten", active=(0.1,) * SIZE, control=(0.1,) * SIZE),
    Broken(name="all like a coin", active=(0.5,) * SIZE, control=(0.5,) * SIZE),
    Broken(name="each breaks other examples", active=_split(0.3, 0.0), control=_split(0.0, 0.3)),
    Broken(name="the way back breaks more", active=(0.1,) * SIZE, control=(0.12,) * SIZE),
)
"""In none of these is a rollback right."""

WORSE = tuple(
    Broken(name=f"{share:.0%} of all answers break it", active=(share,) * SIZE)
    for share in (0.03, 0.05, 0.1, 0.2, 0.5)
)
"""In these it is right from the first comparison on."""


@dataclass
class _Comparing:
    world: Broken
    random: Random

    def __post_init__(self) -> None:
        self._detector = Detector()

    def run(self) -> tuple[bool, int]:
        """Return whether a comparison rolls back, and the calls that it takes."""
        active = Evidence(rounds=1, asked=SIZE, earned=SIZE, error=ERROR, answers=SIZE)
        control: Evidence | None = None
        kept = lapsed = 0
        while wants_comparison(active, control):
            for ours, theirs in zip(self.world.active, self.world.control, strict=True):
                one, other = self.random.random() < ours, self.random.random() < theirs
                kept += one and not other
                lapsed += other and not one
            rounds = active.rounds
            active = Evidence(rounds=rounds + 1, asked=SIZE * (rounds + 1), earned=0, error=ERROR)
            control = Evidence(
                rounds=rounds,
                asked=SIZE * rounds,
                earned=0,
                error=ERROR,
                kept=kept,
                lapsed=lapsed,
            )
        self._detector.add(log_wins_for_control(kept, lapsed))
        calls = SIZE * (2 * active.rounds - 1)
        return self._detector.shows(error_of_contracts(ERROR)), calls


def false_rollbacks(months: int, world: Broken) -> tuple[float, float]:
    """Share of task-months with a rollback, and its Monte-Carlo standard error."""
    random = Random(world.name)
    hit, comparing = 0, _Comparing(world, random)
    for _ in range(months):
        # It goes on from month to month: so it has all the capital that it can have.
        if any(comparing.run()[0] for _ in range(MONTH)):
            hit += 1
            comparing = _Comparing(world, random)
    share = (hit + 0.5) / (months + 1)
    return hit / months, math.sqrt(share * (1 - share) / months)


def comparisons_to_rollback(trials: int, world: Broken) -> tuple[float, float, float]:
    """Mean number of comparisons until the rollback, its standard error, and calls until then."""
    random = Random(world.name)
    taken, used = [], []
    for _ in range(trials):
        comparing, calls = _Comparing(world, random), 0
        shown, runs = False, 0
        while not shown and runs < LONGEST:
            shown, asked = comparing.run()
            calls += asked
            runs += 1
        taken.append(runs)
        used.append(calls)
    return fmean(taken), stdev(taken) / math.sqrt(trials), fmean(used)
