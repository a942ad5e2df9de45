"""A test that aims at one mean: bets on what is still to be won in the examples that are left.

`confidence_sequence.py` stakes the same shares on every example. That is right whatever is asked
and whenever one stops, and leaves power unused where one number is asked about and the set has an
end. Here a part of the capital plays as a trader hedges an option that pays 1/alpha: with the
capital p of the goal in hand and n examples to go, the stake is the one with which Brownian motion
would end at the goal with probability p (the delta of a digital option). It is the exact form of
bets recalculated for what is left to win (V. Voráček and F. Orabona, "STaR-Bets", NeurIPS 2025,
arXiv 2505.22422). Any stake that is chosen before its example is seen keeps the expectation of the
capital, so the error is bounded at every look, whatever the scores.

What is chosen here, and what it costs, is said in docs/gate.md and in decision 1302.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from statistics import NormalDist
from typing import Literal, Protocol

from prompt_hub.gate.confidence_sequence import (
    BettingPlan,
    WeightedObservations,
    count_pairs,
    greatest_below,
    log_sum,
)
from prompt_hub.gate.planned_stakes import STEP, STEPS, planned_stake

Betting = Literal["gate 2", "several looks", "one look"]
"""How bets aim: as those of that gate did, or with the end of the set planned."""
MIXTURE: Mapping[Betting, float] = {"gate 2": 0.5, "several looks": 0.25, "one look": 0.1}
"""Share of the capital that bets like the mixture: for early looks, and for means not aimed at."""
TIE = 0.5
"""The value of an example on which nothing differs."""
LEAST_ON_TIES = 1e-3
"""A smaller share is not set aside for sets without a difference: they pass anyway."""
MOST = 0.75
"""The greatest share of its capital that the hedge puts on one example."""
EXPECTED_SQUARE = 0.025
"""Of a value's distance from the target, before there are any: a tenth of the answers differ."""
EXPECTED_FOR = 10
"""So many examples that expectation counts for."""
_NEARLY = 1e-9
"""A capital that is short of its goal by such a part has reached it: floats are rounded."""
_NORMAL = NormalDist()


class Values(Protocol):
    """The values of the examples, in the order in which they were asked."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[float]: ...
    def __getitem__(self, place: int, /) -> float: ...


class _Mirrored:
    """What is lost of values: 1 minus each, made when it is looked at."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float]:
        return (1 - value for value in self._values)

    def __getitem__(self, place: int, /) -> float:
        return 1 - self._values[place]


Ordered = tuple[Values, Sequence[float]]
"""Values and weights (of the heaviest: 1) of the examples, in the order in which they were asked.

Two columns, as the stakes are one: of a million examples, numbers as objects take 150 MB.
"""


@dataclass(frozen=True)
class MeanTest:
    """Whether the mean of a sample is shown to exceed `target`."""

    sample: WeightedObservations
    target: float

    @property
    def shown(self) -> bool:
        """Whether it is, with chance of error alpha at all looks together."""
        return self.sample.exceeds(self.target)

    def lower_bound(self) -> float:
        """Return the greatest mean that the true one is shown to exceed."""
        return self.sample.lower_bound()


@dataclass(frozen=True)
class Division:
    """How the capital of a round is divided over three ways to bet."""

    on_mixture: float
    on_ties: float
    """On nothing being lost at all; a set without any difference reaches the goal by it."""
    on_hedge: float

    @classmethod
    def of(cls, goal: float, log_tied: float, mixture: float) -> Division:
        """Divide capital 1.

        Args:
            goal: what it must become.
            log_tied: logarithm of what all of it, staked on every example, becomes if all are ties.
            mixture: share of the mixture in what is not set aside for ties.
        """
        needed = math.log(goal) - log_tied
        aside = math.log(LEAST_ON_TIES) < needed <= _NEARLY
        on_ties = min(1.0, math.exp(needed)) if aside else 0.0
        return cls((1 - on_ties) * mixture, on_ties, (1 - on_ties) * (1 - mixture))


def betting_at(target: float, betting: Betting) -> Betting:
    """Return how one bets at a target: a loss is shown by the bets of gate 2."""
    return betting if target < TIE else "gate 2"


@dataclass(frozen=True)
class _Round:
    """The bets of one round of asking."""

    division: Division
    stakes: Sequence[float]
    """Per unit of value above the mean in doubt, example by example, until the goal was reached."""
    reached: bool
    """Whether the capital of the round alone has reached the goal."""


@dataclass(frozen=True)
class TargetedTest(MeanTest):
    """The same, with bets that aim at the target; what was asked first is bet on first.

    `weights` are those of the whole set, those included that may never be looked at.
    """

    ordered: tuple[Ordered, ...]
    weights: Sequence[float]
    betting: Betting

    @classmethod
    def of(
        cls,
        rounds: Iterable[Iterable[tuple[float, float]]],
        weights: Sequence[float],
        alpha: float,
        capital: tuple[float, ...],
        target: float,
        *,
        betting: Betting = "one look",
    ) -> TargetedTest:
        """Return a test on (value, weight) of every example, in order, round by round.

        Args:
            rounds: what was asked, in order.
            weights: of the whole set.
            alpha: chance of error.
            capital: how it is divided over the rounds.
            target: the mean to exceed.
            betting: how many looks are planned.
        """
        plan = BettingPlan.on(weights, alpha)
        columns = [_columns(pairs) for pairs in rounds]
        pairs = (zip(*observed, strict=True) for observed in columns)
        return cls(
            sample=WeightedObservations.of(pairs, plan, capital),
            target=target,
            ordered=tuple((values, _scaled(own, plan)) for values, own in columns),
            weights=_scaled(weights, plan),
            betting=betting_at(target, betting),
        )

    def mirrored(self, target: float) -> TargetedTest:
        """Return the test that what is lost, 1 minus every value, exceeds a target of its own.

        Both keep the same columns.
        """
        ordered = tuple((_Mirrored(values), weights) for values, weights in self.ordered)
        observed = tuple(count_pairs(zip(*columns, strict=True)) for columns in ordered)
        return TargetedTest(
            sample=replace(self.sample, rounds=observed),
            target=target,
            ordered=ordered,
            weights=self.weights,
            betting=betting_at(target, self.betting),
        )

    @property
    def shown(self) -> bool:
        """Whether the mean is shown to exceed the target; never where the sample's does not."""
        if self.target <= 0:
            return True
        if self.sample.mean <= self.target:
            return False
        return any(entry.reached for entry in self._rounds) or self._excess(self.target) >= 0

    def lower_bound(self) -> float:
        """Return the greatest mean that the true one is shown to exceed; the target if it is."""
        if self.target <= 0:  # Every loss is within a margin of 1: there is nothing to aim at.
            return self.sample.lower_bound()
        bound = greatest_below(self.sample.mean, self._excess)
        return max(bound, self.target) if self.shown else bound

    def _excess(self, mean: float) -> float:
        """Logarithm of the capital of one who doubts "at most `mean`", as a part of the goal.

        The hedge's stakes are those for the target, whatever the mean: so the more is doubted, the
        less is won, and the bound is one number.
        """
        if mean <= 0:
            return math.inf
        parts = []
        for capital, entry, ordered, mixture in zip(
            self.sample.capital,
            self._rounds,
            self.ordered,
            self.sample.log_wealth_by_round(mean),
            strict=False,
        ):
            shares = (
                (entry.division.on_mixture, mixture),
                (entry.division.on_ties, _log_product(ordered, repeat(1 / mean), mean)),
                (entry.division.on_hedge, _log_product(ordered, entry.stakes, mean)),
            )
            parts += [math.log(capital * share) + log for share, log in shares if share]
        return log_sum(parts) - math.log(1 / self.sample.stakes.alpha) + _NEARLY

    @cached_property
    def _rounds(self) -> tuple[_Round, ...]:
        # A further round measures the same examples: what the first has won must not lead its bets.
        return tuple(
            self._played(ordered, 1 / self.sample.stakes.alpha / capital)
            for ordered, capital in zip(self.ordered, self.sample.capital, strict=False)
        )

    def _played(self, ordered: Ordered, goal: float) -> _Round:
        """Play one round against the doubt "at most the target", with capital 1."""
        target, plan = self.target, self.sample.stakes
        # What a set without any difference needs to reach the goal with its last example.
        tied = math.fsum(math.log1p(weight * (TIE / target - 1)) for weight in self.weights)
        division = Division.of(goal, tied, MIXTURE[self.betting])
        bets = plan.bet_fractions(target)
        mixture, ties, hedge = [1.0] * len(bets), 1.0, 1.0
        square_of_weight = plan.size / len(self.weights)
        counted = EXPECTED_FOR * square_of_weight
        squares = EXPECTED_SQUARE / target**2 * counted
        stakes = array("d")
        values, weights = ordered
        mean_weight = math.fsum(self.weights) / len(self.weights)
        # Of the planned part of the set: examples in a step, spread of what ties earn in it.
        per_step = 0.0 if self.betting == "gate 2" else STEP / mean_weight / (TIE / target - 1)
        uneven = max(0.0, square_of_weight / mean_weight**2 - 1)
        spread = math.sqrt(uneven / per_step) if per_step else 0.0
        reached = False
        for place in range(len(values) + 1):
            others = division.on_mixture * math.fsum(mixture) / len(bets)
            others += division.on_ties * ties
            reached = others + division.on_hedge * hedge >= goal * (1 - _NEARLY)
            if reached or place == len(values):
                break
            value, weight = values[place], weights[place]
            gain = weight * (value / target - 1)
            stake = 0.0
            if hedge > 0 and division.on_hedge > 0:
                hand = division.on_hedge * hedge / (goal - others)
                left = max(1, len(self.weights) - place)
                if left < STEPS * per_step:
                    stake = planned_stake(hand, left / per_step, spread)
                else:
                    stake = _hedging_stake(hand, square_of_weight * left * squares / counted)
            stakes.append(stake / target)
            hedge *= 1 + stake * gain
            ties *= 1 + gain
            mixture = [part * (1 + bet * gain) for part, bet in zip(mixture, bets, strict=True)]
            squares += gain**2
            counted += weight**2
        return _Round(division, stakes, reached)


def _columns(pairs: Iterable[tuple[float, float]]) -> tuple[array[float], array[float]]:
    values, weights = array("d"), array("d")
    for value, weight in pairs:
        values.append(value)
        weights.append(weight)
    return values, weights


def _scaled(weights: Sequence[float], plan: BettingPlan) -> Sequence[float]:
    """Return weights as parts of the heaviest; they are the same where that is 1."""
    if plan.heaviest == 1:
        return weights
    return array("d", (weight / plan.heaviest for weight in weights))


def _hedging_stake(hand: float, left: float) -> float:
    """Return the share of capital to stake.

    Args:
        hand: what is in hand, as a part of the goal.
        left: expected sum of the squared gains that are left.
    """
    hand = min(max(hand, 1e-300), 1 - 1e-9)
    return min(MOST, _NORMAL.pdf(_NORMAL.inv_cdf(hand)) / hand / math.sqrt(left))


def _log_product(ordered: Ordered, stakes: Iterable[float], mean: float) -> float:
    """Logarithm of what capital 1 has become; stakes end where the gambler has stopped."""
    most = 1 / mean
    total = 0.0
    for value, weight, stake in zip(*ordered, stakes, strict=False):
        factor = 1 + min(stake, most) * weight * (value - mean)
        if factor <= 0:
            return -math.inf
        total += math.log(factor)
    return total
