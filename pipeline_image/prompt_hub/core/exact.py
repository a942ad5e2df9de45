"""Scores and stated numbers, compared as the decimal numbers that people wrote.

A float is the nearest of finitely many fractions to the number that is meant. 0.7 is stated, 3 + 4
of 10 is scored, and sums of floats miss each other by 1e-16. So no sum of floats decides: every
step here takes fractions and is rounded once, at its end. Where a score equals a stated number,
their floats are then equal, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

LARGEST_DENOMINATOR = 10**7
"""Of the fractions that a score is taken for.

Two of them differ by 1e-14 or more, and a score's float from its own by no more than 1e-16: there
is never a second one."""
CARELESS_DENOMINATOR = 10**4
CARELESS = 1e-12
"""How far a sum of some thousand floats may be off. Fractions with a denominator of up to
`CARELESS_DENOMINATOR` differ by 1e-8 or more, so no other one is near."""


@lru_cache(maxsize=4096)
def stated(number: float) -> Fraction:
    """Return the decimal number that a person wrote: the shortest that is read as this float."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(float(number)))


@lru_cache(maxsize=4096)
def earned(score: float) -> Fraction:
    """Return the fraction of which a score is the nearest float, such as 2/3.

    Where none with a denominator of up to `LARGEST_DENOMINATOR` is, it is taken as it is printed.
    """
    simple = Fraction(score).limit_denominator(LARGEST_DENOMINATOR)
    return simple if float(simple) == score else stated(score)


def careful(score: float) -> float:
    """Return the score that a sum of floats missed by its rounding: 1 for 1.0000000000000002."""
    simple = float(Fraction(score).limit_denominator(CARELESS_DENOMINATOR))
    return simple if abs(simple - score) <= CARELESS else score


class ExactSum:
    """A sum of floats that is rounded once, as `math.fsum` does: whatever their order.

    It takes no more room for a million of them than for one.
    """

    def __init__(self) -> None:
        """Begin with no number."""
        self.count = 0
        self._units = 0

    def add(self, number: float) -> None:
        """Add a finite number."""
        above, below = number.as_integer_ratio()
        self.count += 1
        # What is below is a power of two.
        self._units += above << (_UNIT_BITS + 1 - below.bit_length())

    def merge(self, other: ExactSum) -> None:
        """Add all numbers of another sum."""
        self.count += other.count
        self._units += other._units

    def __float__(self) -> float:
        return self._units / (1 << _UNIT_BITS)


_UNIT_BITS = 1074
"""Every float is a whole number of 2**-1074, the smallest one above 0."""


def weighted_mean(pairs: Iterable[tuple[float, float]]) -> Fraction:
    """Return the mean of (score, weight); the weights are stated, their sum is above 0."""
    counts = Counter(pairs)
    total = sum(count * stated(weight) for (_, weight), count in counts.items())
    won = sum(
        count * stated(weight) * earned(score) for (score, weight), count in counts.items() if score
    )
    return Fraction(won) / total


def surplus(score: float | Fraction, least: float) -> Fraction:
    """Return by how much a score is above a stated number; below 0 exactly where it misses it."""
    found = score if isinstance(score, Fraction) else stated(score)
    return found - stated(least)


def reaches(score: float | Fraction, least: float) -> bool:
    """Whether a score is at least a stated number."""
    return surplus(score, least) >= 0
