"""How well a judge agrees with people, corrected for chance.

The statistic is Cohen's kappa with quadratic weights (J. Cohen, Psychological Bulletin 1968): one
minus the mean squared difference of the grades over the mean squared difference that chance alone
would give, with both raters' habits as they are. It is 1 for perfect agreement and 0 for what
chance gives. The interval is a percentile bootstrap over examples (B. Efron, Annals of Statistics
1979), with a fixed seed, so that the same grades always have the same interval.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from prompt_hub.core.wording import count, score
from prompt_hub.repository.schema import Strict

RESAMPLES = 1000

Pair = tuple[float, float]
"""The judge's grade and the person's."""


class Agreement(Strict):
    """Agreement of a judge with people over `n` examples; `low` and `high` bound its interval."""

    statistic: Literal["kappa-quadratic"] = "kappa-quadratic"
    value: float
    low: float
    high: float
    confidence: float
    n: int

    def __str__(self) -> str:
        return self.beside()

    def beside(self, floor: float | None = None) -> str:
        """Say it in two digits; with more where those would make it look like `floor`."""
        value = score(self.value, floor, places=2)
        return f"{value} [{self.low:.2f}, {self.high:.2f}] on {count(self.n, 'example')}"


def kappa(pairs: Sequence[Pair]) -> float | None:
    """Cohen's kappa with quadratic weights; None where chance alone would agree perfectly.

    That is the case where judge and people give one and the same grade to everything: such a set
    says nothing about a judge.
    """
    n = len(pairs)
    ours, theirs = sum(item for item, _ in pairs), sum(other for _, other in pairs)
    squares = sum(item * item + other * other for item, other in pairs)
    # Grades are whole numbers, so all but the division is exact: a kappa of 0.6 is 0.6.
    chance = n * squares - 2 * ours * theirs
    together = n * sum(item * other for item, other in pairs) - ours * theirs
    return 2 * together / chance if chance else None


def agreement(pairs: Mapping[str, Sequence[Pair]], confidence: float) -> Agreement | None:
    """Agreement over examples, each with one pair of grades or, where it was repeated, several.

    Args:
        pairs: grades by example id.
        confidence: of the interval.
    """
    clusters = [tuple(pairs[name]) for name in sorted(pairs) if pairs[name]]
    value = kappa([pair for cluster in clusters for pair in cluster])
    if value is None:
        return None
    chance = random.Random(len(clusters))  # noqa: S311 - resampling, nothing secret
    found = sorted(
        number
        for _ in range(RESAMPLES)
        if (number := kappa([p for c in chance.choices(clusters, k=len(clusters)) for p in c]))
        is not None
    )
    tail = (1 - confidence) / 2
    low, high = (
        found[min(len(found) - 1, int(share * len(found)))] if found else value
        for share in (tail, 1 - tail)
    )
    return Agreement(
        value=value,
        low=min(low, value),
        high=max(high, value),
        confidence=confidence,
        n=len(clusters),
    )
