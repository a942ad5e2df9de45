"""Geometry of the charts: numbers in, places on an axis of 0 to 1 out."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from prompt_hub.core.percentile import percentile

BINS = 24


@dataclass(frozen=True)
class Histogram:
    """How two lists of values are spread over the same bins.

    `counts` holds, for each list, one count a bin. The last bin also counts what lies beyond
    `upper`, of which there are `beyond`.
    """

    upper: float
    counts: tuple[tuple[int, ...], ...]
    beyond: int

    @property
    def highest(self) -> float:
        """The largest share of its own list that any bin holds, never 0."""
        return max((share for shares in self.shares for share in shares), default=0.0) or 1.0

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """Every count as a share of its list: lists of different length can be compared."""
        return tuple(tuple(n / (sum(counts) or 1) for n in counts) for counts in self.counts)


def histogram(*lists: Sequence[float]) -> Histogram | None:
    """Return the spread of values from 0 up to what 99 of 100 do not exceed.

    None where there are none.
    """
    values = [value for item in lists for value in item]
    if not values:
        return None
    upper = nice(percentile(values, 0.99) or 0.0)
    edges = [upper * (index + 1) / BINS for index in range(BINS)]
    counts = []
    for entry in lists:
        bins = [0] * BINS
        for value in entry:
            bins[min(bisect_right(edges, value), BINS - 1)] += 1
        counts.append(tuple(bins))
    return Histogram(upper, tuple(counts), sum(value > upper for value in values))


def nice(value: float) -> float:
    """Return the least round number (1, 1.5, 2, 3, 4, 5, 6 or 8 times 10ⁿ) not below."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        if value <= step * power * (1 + 1e-9):
            return step * power
    return 10 * power


def outline(shares: Sequence[float], highest: float, height: float) -> str:
    """Return a histogram's upper edge as an SVG path over 100 units of width."""
    width = 100 / len(shares)
    steps = [f"M0 {height:g}"]
    for index, share in enumerate(shares):
        level = height - height * share / highest
        steps.append(f"V{level:.2f}H{(index + 1) * width:.2f}")
    return "".join([*steps, f"V{height:g}"])


@dataclass(frozen=True)
class Spark:
    """One score of a sparkline, in fractions of its width and height from the top left."""

    x: float
    y: float
    kind: str


def sparkline(scores: Sequence[tuple[float, str]]) -> tuple[Spark, ...]:
    """Return scores from 0 to 1 in their places, each with its kind; a lone one in the middle."""
    step = 1 / max(len(scores) - 1, 1)
    return tuple(
        Spark(index * step if len(scores) > 1 else 0.5, 1 - score, kind)
        for index, (score, kind) in enumerate(scores)
    )
