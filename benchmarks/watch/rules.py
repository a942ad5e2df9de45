"""When each rule rolls back: the product's detector, and rules that count bad rounds."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from random import Random

from benchmarks.watch.scenarios import SIZE, World, right_answers
from prompt_hub.ledger.detector import (
    Detector,
    Evidence,
    error_of_a_run,
    log_wins_against,
    log_wins_for_control,
    wants_fresh_round,
)

ERROR = error_of_a_run(0.01, 15)
_against = cache(log_wins_against)


@dataclass
class Counting:
    """Rolls back when `least` of the `last` rounds are bad and one round of the way back passes."""

    world: World
    random: Random
    least: int
    last: int
    _bad: deque[bool] = field(init=False)

    def __post_init__(self) -> None:
        self._bad = deque(maxlen=self.last)

    def run(self, right: int, chances: tuple[float, ...]) -> tuple[bool, int, int]:
        """Return whether it rolls back after a first round, the rounds and the calls it took."""
        self._bad.append(right / SIZE < self.world.threshold - 1e-9)
        if not self._bad[-1]:
            return False, 1, SIZE
        control = sum(right_answers(self.random, self.world.control)) / SIZE
        passes = control >= self.world.control_threshold - 1e-9
        return passes and sum(self._bad) >= self.least, 2, 2 * SIZE


@dataclass
class Ours:
    """The product: the same evidence, fresh rounds and conditions as monitor and Lambda have."""

    world: World
    random: Random
    _active: Detector = field(default_factory=Detector)
    _control: Detector = field(default_factory=Detector)
    _better: Detector = field(default_factory=Detector)

    def run(self, right: int, chances: tuple[float, ...]) -> tuple[bool, int, int]:
        """Return whether it rolls back after a first round, the rounds and the calls it took."""
        world = self.world
        asked = math.ceil(world.part * SIZE)
        active = Evidence(rounds=1, asked=asked, earned=right, error=ERROR)
        control: Evidence | None = None
        while wants_fresh_round(
            (active, world.threshold), (control, world.control_threshold) if control else None
        ):
            ours = right_answers(self.random, chances)
            theirs = right_answers(self.random, world.control)
            active = Evidence(
                rounds=active.rounds + 1,
                asked=active.asked + SIZE,
                earned=active.earned + sum(ours),
                error=ERROR,
            )
            control = Evidence(
                rounds=active.rounds - 1,
                asked=(control.asked if control else 0) + SIZE,
                earned=(control.earned if control else 0) + sum(theirs),
                error=ERROR,
                won=(control.won if control else 0)
                + sum(b and not a for a, b in zip(ours, theirs, strict=True)),
                lost=(control.lost if control else 0)
                + sum(a and not b for a, b in zip(ours, theirs, strict=True)),
            )
        self._active.add(_against(active, world.threshold))
        calls = int(active.asked + (control.asked if control else 0))
        rounds = active.rounds + (control.rounds if control else 0)
        if control is None or active.earned >= world.threshold * active.asked - 1e-9:
            return False, rounds, calls
        self._control.add(_against(control, world.control_threshold))
        self._better.add(log_wins_for_control(control.won, control.lost))
        fell_too = control.earned < world.control_threshold * control.asked - 1e-9
        return (
            self._active.shows(ERROR)
            and self._better.shows(ERROR)
            and not (fell_too and self._control.shows(ERROR)),
            rounds,
            calls,
        )


RULES = ("1 of 1", "2 of 3", "3 of 5", "detector")


def rule(name: str, world: World, random: Random) -> Counting | Ours:
    """Return a rule as it begins with a new pointer."""
    if name == "detector":
        return Ours(world, random)
    least, last = name.split(" of ")
    return Counting(world, random, int(least), int(last))
