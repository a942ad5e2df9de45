"""Stages in which the truth is known: what each example is answered with, on average."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SIZE = 48
THRESHOLD = 34 / SIZE
WAY_BACK = 41 / SIZE
"""Mean of the way back, where it is the better version."""


def flipping(flips: int, mean: float = 37 / SIZE) -> tuple[float, ...]:
    """Return the chances of examples: `flips` are coin flips, the others never differ."""
    right = round(mean * SIZE - flips / 2)
    return (1.0,) * right + (0.5,) * flips + (0.0,) * (SIZE - right - flips)


def scaled(chances: tuple[float, ...], mean: float) -> tuple[float, ...]:
    """Return the same examples, each answered less often, with the mean that is wanted."""
    factor = mean * SIZE / sum(chances)
    return tuple(chance * factor for chance in chances)


@dataclass(frozen=True, kw_only=True)
class World:
    """Chance of a right answer by example, of the active version and of its way back.

    `after` is what the active version falls to, within `falls_in` runs; the second half of a fall
    that takes time lies below the threshold.
    """

    name: str
    active: tuple[float, ...] = flipping(10)
    control: tuple[float, ...] = flipping(4, WAY_BACK)
    after: tuple[float, ...] | None = None
    falls_in: int = 1
    threshold: float = THRESHOLD
    control_threshold: float = THRESHOLD
    part: float = 1.0

    def chances(self, run: int) -> tuple[float, ...]:
        """Return the active version's chances in a run; it falls with run 0."""
        if self.after is None or run < 0:
            return self.active
        done = min(1.0, (run + 1) / self.falls_in)
        return tuple(a + (b - a) * done for a, b in zip(self.active, self.after, strict=True))


JUDGED = (0.9,) * 36 + (0.1,) * 12
"""A judge takes every tenth answer for what it is not."""

HEALTHY = (
    World(name="8 of 48 are coin flips", active=flipping(8)),
    World(name="10 of 48 are coin flips", active=flipping(10)),
    World(name="12 of 48 are coin flips", active=flipping(12)),
    World(name="steady at the threshold", active=flipping(10, THRESHOLD)),
    World(name="all like a coin at the threshold", active=(THRESHOLD,) * SIZE),
    World(name="a judge errs, at the threshold", active=JUDGED, threshold=sum(JUDGED) / SIZE),
    World(name="a quarter asked, at the threshold", active=flipping(10, THRESHOLD), part=0.25),
    World(
        name="way back no better",
        active=flipping(10, 29 / SIZE),
        control=flipping(10, 29 / SIZE),
        control_threshold=29 / SIZE - 0.1,
    ),
)
"""In none of these is a rollback right."""

FALLING = (
    *(
        World(name=f"drop to {drop} below", after=scaled(flipping(10), THRESHOLD - drop))
        for drop in (0.05, 0.1, 0.2)
    ),
    World(name="total failure", after=(0.0,) * SIZE),
    World(
        name="drop to 0.1 below, a quarter asked",
        after=scaled(flipping(10), THRESHOLD - 0.1),
        part=0.25,
    ),
    World(name="total failure, a quarter asked", after=(0.0,) * SIZE, part=0.25),
    World(
        name="drift of 0.02 a day",
        active=flipping(10, THRESHOLD),
        after=scaled(flipping(10, THRESHOLD), THRESHOLD - 0.2),
        falls_in=960,
    ),
)
"""In these it is right from run 0 on."""


def right_answers(random: Random, chances: tuple[float, ...]) -> list[bool]:
    """Draw whether each answer is right."""
    return [random.random() < chance for chance in chances]
