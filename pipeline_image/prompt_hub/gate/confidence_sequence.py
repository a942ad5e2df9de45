"""Tests by betting: what is known about the mean of bounded scores after any number of looks.

Somebody who doubts that the mean of observations in [0, 1] is at most `mean` bets on every
observation: capital 1 becomes the product of 1 + bet · (observation / mean − 1). If the doubt is
unfounded, capital does not grow on average, and by Ville's inequality the chance that it *ever*
reaches 1/alpha is at most alpha. So a test may be repeated after every look without paying for it,
and nothing is assumed about the distribution but its bounds (I. Waudby-Smith and A. Ramdas,
"Estimating means of bounded random variables by betting", JRSS-B 86, 2024).

What is chosen here, and why it stays valid, is said in docs/gate.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import mul

NUMBER_OF_BETS = 11
PRECISION = 1e-6
"""Of the bounds of an interval."""

Observed = tuple[tuple[float, float, int], ...]
"""Value, weight and how often they occur together, sorted: order and repetition do not matter."""


@dataclass(frozen=True)
class BettingPlan:
    """How one bets on a set of examples; fixed by their weights before anything is measured.

    `heaviest` is the greatest weight, `size` the sum of squared weights where it counts as 1.
    """

    heaviest: float
    size: float
    alpha: float

    @classmethod
    def on(cls, weights: Sequence[float], alpha: float) -> BettingPlan:
        """Stakes for the whole set of examples, those included that may never be looked at."""
        heaviest = max(weights)
        return cls(heaviest, math.fsum((weight / heaviest) ** 2 for weight in weights), alpha)

    def bet_fractions(self, mean: float) -> tuple[float, ...]:
        """Return the shares of capital put on every observation by one who doubts `mean`.

        The capital is divided equally over them. They rise in equal ratios from about the one that
        would serve best if the whole set were needed, to all of it; the smaller the mean, the
        more a win is worth, and the smaller the least stake.
        """
        odds = mean / (1 - mean) if mean < 1 else math.inf
        least = min(0.5, 2 * math.sqrt(math.log(1 / self.alpha) / self.size * odds))
        ratio = (1 / least) ** (1 / (NUMBER_OF_BETS - 1))
        return (*(least * ratio**step for step in range(NUMBER_OF_BETS - 1)), 1.0)


def round_allocation(rounds: int) -> tuple[float, ...]:
    """How the capital is divided over the rounds in which every example may be asked.

    A further round measures the same examples, so it may not win with capital that the rounds
    before it have staked; it brings its own. Half is for the first.
    """
    return (1.0,) if rounds == 1 else (0.5, *[0.5 / (rounds - 1)] * (rounds - 1))


@dataclass(frozen=True)
class WeightedObservations:
    """Observations in [0, 1], one an example, as they stood after each round of asking."""

    stakes: BettingPlan
    rounds: tuple[Observed, ...]
    capital: tuple[float, ...]

    @classmethod
    def of(
        cls,
        rounds: Iterable[Iterable[tuple[float, float]]],
        stakes: BettingPlan,
        capital: tuple[float, ...] = (1.0,),
    ) -> WeightedObservations:
        """Return a sample from (value, weight) of every example, round by round."""
        heaviest = stakes.heaviest
        observed = (
            count_pairs((value, weight / heaviest) for value, weight in pairs) for pairs in rounds
        )
        return cls(stakes, tuple(observed), capital)

    @cached_property
    def mean(self) -> float:
        """Weighted mean after the last round; 0 where nothing was observed."""
        last = self.rounds[-1]
        if not last:
            return 0.0
        total = math.fsum(weight * count for _, weight, count in last)
        return math.fsum(value * weight * count for value, weight, count in last) / total

    @property
    def mirrored(self) -> WeightedObservations:
        """The sample of what is lost: 1 minus every value."""
        turned = (
            tuple(sorted((1 - value, weight, count) for value, weight, count in observed))
            for observed in self.rounds
        )
        return WeightedObservations(self.stakes, tuple(turned), self.capital)

    def log_wealth(self, mean: float) -> float:
        """Logarithm of the capital of a gambler who doubts that the true mean is at most `mean`.

        Of means that cannot be undercut (0 or less) everybody is sure: the result is infinite.
        """
        if mean <= 0:
            return math.inf
        mean = min(mean, 1.0)
        fractions = self.stakes.bet_fractions(mean)
        grown = [
            math.log(part / len(fractions)) + grown
            for part, observed in zip(self.capital, self.rounds, strict=False)
            for grown in _log_products(observed, fractions, mean)
        ]
        return log_sum(grown)

    def log_wealth_by_round(self, mean: float) -> tuple[float, ...]:
        """Logarithm of what capital 1 has become in each round; `mean` is above 0."""
        mean = min(mean, 1.0)
        fractions = self.stakes.bet_fractions(mean)
        return tuple(
            log_sum([*_log_products(observed, fractions, mean)]) - math.log(len(fractions))
            for observed in self.rounds
        )

    def exceeds(self, mean: float) -> bool:
        """Whether it is shown, with chance of error alpha, that the true mean exceeds `mean`."""
        return self._excess(mean) >= 0

    def _excess(self, mean: float) -> float:
        return self.log_wealth(mean) - math.log(1 / self.stakes.alpha)

    def lower_bound(self) -> float:
        """Return the greatest mean that the true one exceeds, for all that is shown.

        It is never above the sample's.
        """
        return greatest_below(self.mean, self._excess)

    def interval(self) -> tuple[float, float]:
        """Confidence sequence of the mean: each of its sides is wrong with chance alpha."""
        return self.lower_bound(), 1 - self.mirrored.lower_bound()


def count_pairs(pairs: Iterable[tuple[float, float]]) -> Observed:
    """Return how often each pair of value and weight occurs."""
    return tuple(sorted((*pair, count) for pair, count in Counter(pairs).items()))


def greatest_below(most: float, excess: Callable[[float], float]) -> float:
    """Return the greatest mean up to `most` that is excluded, rounded down by `PRECISION`.

    The more is doubted, the less is won: the bound is where the excess of wealth is 0. It is
    searched by false position (the Illinois algorithm); what was won early may exclude `most`, too.
    """
    low, high = 0.0, most
    above, below = math.inf, excess(high)
    if below >= 0:
        return most
    side = 0
    while high - low > PRECISION:
        middle = (low + high) / 2
        if math.isfinite(above) and math.isfinite(below):
            middle = low + (high - low) * above / (above - below)
        found = excess(middle)
        if found >= 0:
            low, above = middle, found
            below = below / 2 if side > 0 else below
            side = 1
        else:
            high, below = middle, found
            above = above / 2 if side < 0 else above
            side = -1
    return low


def _log_products(observed: Observed, bets: Sequence[float], mean: float) -> Iterator[float]:
    """Yield what capital 1 has become by each of the bets, as a logarithm."""
    gains = [weight * (value / mean - 1) for value, weight, _ in observed]
    counts = [count for _, _, count in observed]
    worst = min(gains, default=0.0)
    for bet in bets:
        if 1 + bet * worst <= 0:
            yield -math.inf
        else:
            yield sum(map(mul, counts, map(math.log1p, [bet * gain for gain in gains])))


def log_sum(logarithms: Sequence[float]) -> float:
    """Logarithm of a sum, of the logarithms of its parts."""
    greatest = max(logarithms)
    if math.isinf(greatest):
        return greatest
    return greatest + math.log(sum(math.exp(logarithm - greatest) for logarithm in logarithms))
