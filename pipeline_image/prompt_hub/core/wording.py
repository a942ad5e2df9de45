"""Counts, scores and moments as people say them: every text that tells of one takes it from here.

Standard library only: the rollback Lambda carries this module, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime

_MOST_PLACES = 15
"""Of a number in words: further digits are those of the float."""


def noun(n: object, singular: str, plural: str | None = None) -> str:
    """Return the word for what there are `n` of, without the number."""
    return singular if n == 1 else plural or f"{singular}s"


def count(n: int, singular: str, plural: str | None = None) -> str:
    """`1 example`, `2,000 examples`."""
    return f"{n:,} {noun(n, singular, plural)}"


def amount(value: float, *beside: float) -> str:
    """Return a number as people write it: four digits that mean something, and no exponent.

    There are more digits where four would make it look like what stands `beside` it.

    >>> [amount(value) for value in (100.0, 12345.678, 0.00003214159)]
    ['100', '12,345.68', '0.00003214']
    >>> amount(0.020004, 0.02)
    '0.020004'
    """
    if value == int(value):
        return f"{int(value):,}"
    places = _apart(value, beside, max(2, 3 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{places}f}".rstrip("0").rstrip(".")


def score(value: float, *beside: float | None, places: int = 3) -> str:
    """Return a score in three digits, in more where those would make it look like another.

    `beside` is what stands beside it, such as its threshold: "0.900 is below 0.900" says nothing.
    """
    return f"{value:.{_apart(value, beside, places)}f}"


def minute(at: datetime) -> str:
    """Return a moment to the minute, in UTC wherever it is read: `2026-11-29 19:55 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _apart(value: float, beside: Iterable[float | None], least: int) -> int:
    """Return how many places show that `value` is no other; `least` where none do."""
    others = [other for other in beside if other is not None and other != value]
    for places in range(least, _MOST_PLACES + 1):
        if all(f"{other:.{places}f}" != f"{value:.{places}f}" for other in others):
            return places
    return least
