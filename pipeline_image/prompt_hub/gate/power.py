"""What a set of examples can show: the power of the very test that the gate uses, in words.

An example is modelled as a win, a loss or a tie of the candidate, as often as the scores at hand
differ; over the counts of wins and losses the test's outcome is summed up exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from prompt_hub.core import wording
from prompt_hub.core.exact import reaches, stated
from prompt_hub.gate.confidence_sequence import BettingPlan, log_sum, round_allocation
from prompt_hub.gate.rules import (
    GATE_VERSION,
    GateVersion,
    alpha_of,
    betting_of,
)
from prompt_hub.gate.targeted_bets import MIXTURE, MOST, TIE, Betting, Division, betting_at
from prompt_hub.gate.types import Conclusion, Evidence, Power, Status
from prompt_hub.repository.schema import Gate

PROBABILITY = 0.8
MOST_EXAMPLES = 20_000
"""Of a question that needs more it is only said that it does."""
_SPREAD = 5.0
"""Counts further from their mean than this many standard deviations are left out."""
_POINTS = 60
"""Over so many counts of losses the chance is summed up."""
NEARLY_ALL = 1 - 1e-9
"""Of the goal: floats are rounded."""
_MOST_LOG = 700.0
"""Of a capital: the greatest logarithm whose exponential is a float."""
_MANY = 400
"""From this variance on a count is as good as normally distributed."""


@dataclass(frozen=True)
class DesignEffect:
    """How much a set of weighted examples is worth in examples of equal weight.

    `effective` is that number as a share of their own, `reach` the share of a bet that the weight
    of the heaviest leaves to the others.
    """

    effective: float
    reach: float

    @classmethod
    def of(cls, weights: Sequence[float]) -> DesignEffect:
        """Return what these weights leave of the examples."""
        total = math.fsum(weights)
        squares = math.fsum(weight**2 for weight in weights)
        return cls(total**2 / squares / len(weights), squares / total / max(weights))


@dataclass(frozen=True)
class GateTest:
    """The gate's test of a mean difference, for examples that are won, lost or tied."""

    margin: float
    alpha: float
    capital: float
    weighing: DesignEffect
    version: GateVersion = GATE_VERSION
    betting: Betting = "one look"

    def power_to_pass(self, n: int, wins: float, losses: float) -> float:
        """Probability that `n` examples rule out a loss of the margin."""
        return self._chance(n, (1 - self.margin) / 2, wins, losses)

    def power_to_block(self, n: int, wins: float, losses: float) -> float:
        """Probability that `n` examples show a loss of more than the margin."""
        return self._chance(n, (1 + self.margin) / 2, losses, wins)

    def _chance(self, n: int, mean: float, up: float, down: float) -> float:
        """Probability that a mean of more than `mean` is shown, ties being 1/2."""
        if mean <= 0:  # No loss is more than a margin of 1.
            return 1.0
        equal = max(1, round(n * self.weighing.effective))
        stakes = BettingPlan(1.0, n * self.weighing.effective * self.weighing.reach**2, self.alpha)
        grown = [
            tuple(
                math.log(factor) if (factor := 1 + bet * self.weighing.reach * gain) > 0 else -1e9
                for gain in (1 / mean - 1, 0.5 / mean - 1, -1.0)
            )
            for bet in stakes.bet_fractions(mean)
        ]
        goal = 1 / self.capital / self.alpha
        enough = math.log(len(grown) * goal)
        reach = self.weighing.reach
        tied = math.log1p(reach * (TIE / mean - 1)) if mean < 1 else -math.inf
        division = Division.of(goal, equal * tied, MIXTURE[betting_at(mean, self.betting)])

        def mixture(ups: int, ties: int, downs: int) -> float:
            return log_sum([ups * u + ties * t + downs * d for u, t, d in grown])

        def shown(ups: int, downs: int) -> bool:
            ties = equal - ups - downs
            if self.version == "1":
                return mixture(ups, ties, downs) >= enough
            won = math.exp(min(mixture(ups, ties, downs), enough)) / len(grown)
            others = division.on_mixture * won
            if not downs:  # one loss takes all that is staked on ties
                kept = ups * math.log1p(reach * (1 / mean - 1)) + ties * tied if mean < 1 else 0.0
                others += division.on_ties * math.exp(min(kept, _MOST_LOG))
            if others >= goal * NEARLY_ALL:
                return True
            # The hedge ends at its goal about where its normal approximation would, but for the
            # last loss: how much it falls short of Brownian motion was measured (docs/gate.md).
            hand = division.on_hedge / (goal - others)
            if hand >= 1:
                return True
            gains = ((ups, reach * (1 / mean - 1)), (ties, reach * (TIE / mean - 1)))
            if hand <= 0 or math.log(hand) + _most(gains) < 0:
                return False
            total = sum(count * gain for count, gain in gains) - downs * reach
            squares = sum(count * gain**2 for count, gain in gains) + downs * reach**2
            return total >= reach - NormalDist().inv_cdf(hand) * math.sqrt(squares)

        chance = 0.0
        least = 0
        for downs, share in _thinned(_counts(equal, down)):
            rest = equal - downs
            # It takes the more wins, the more losses there are: so the search starts where it was.
            least += bisect_left(range(least, rest + 1), True, key=lambda ups: shown(ups, downs))
            chance += share * _at_least(least, rest, up / (1 - down) if down < 1 else 0.0)
        return chance


def _most(gains: Iterable[tuple[int, float]]) -> float:
    """Logarithm of the most that the hedge can make of capital 1 from counts of gains."""
    return sum(count * math.log1p(MOST * gain) for count, gain in gains if gain > 0)


def _counts(n: int, probability: float, least: int = 0) -> Iterator[tuple[int, float]]:
    """Yield the likely counts of a binomial variable from `least` on, with their chances."""
    probability = min(max(probability, 0.0), 1.0)
    spread = _SPREAD * math.sqrt(n * probability * (1 - probability)) + _SPREAD
    low = max(least, math.floor(n * probability - spread))
    high = min(n, math.ceil(n * probability + spread))
    if probability in (0.0, 1.0):
        yield from ((count, float(count == n * probability)) for count in range(low, high + 1))
        return
    orders, hit, miss = math.lgamma(n + 1), math.log(probability), math.log1p(-probability)
    for count in range(low, high + 1):
        log = orders - math.lgamma(count + 1) - math.lgamma(n - count + 1)
        log += count * hit + (n - count) * miss
        yield count, math.exp(log)


def _thinned(counts: Iterable[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    """Evenly spaced ones of many counts, standing for their neighbours; of few counts all."""
    every = [*counts]
    kept = every[:: max(1, len(every) // _POINTS)]
    total = sum(share for _, share in kept)
    yield from ((count, share / total) for count, share in kept)


def _at_least(least: int, n: int, probability: float) -> float:
    if least <= 0:
        return 1.0
    variance = n * probability * (1 - probability)
    if variance > _MANY:
        return 1 - NormalDist(n * probability, math.sqrt(variance)).cdf(least - 0.5)
    return sum(share for _, share in _counts(n, probability, least))


def with_power(
    conclusion: Conclusion,
    evidence: Evidence,
    threshold: float,
    gate: Gate,
    *,
    version: GateVersion = GATE_VERSION,
) -> Conclusion:
    """Return a final conclusion that also says, in words, what its examples could have shown."""
    if conclusion.status is Status.NOT_MEASURED:
        return conclusion
    if evidence.champion is None:
        power, words = _against_threshold(evidence, threshold, gate)
        return replace(conclusion, power=power, reasons=(*conclusion.reasons, words))
    seen = len(evidence.candidate.asked)
    rounds = gate.repeats if evidence.sampled else 1
    capital = sum(round_allocation(rounds)[: evidence.rounds])
    weighing = DesignEffect.of(evidence.examples.weights)
    betting = betting_of(evidence, gate, version)
    test = GateTest(gate.margin, alpha_of(gate), capital, weighing, version, betting)
    differing = _differing(evidence)
    power = Power(
        n=seen,
        margin=gate.margin,
        detectable=_least_drop(lambda drop: test.power_to_block(seen, *_split(differing, -drop))),
        needed=_least_number(lambda n: test.power_to_pass(n, *_split(differing, 0.0))),
    )
    reasons = [*conclusion.reasons]
    if conclusion.status is Status.INCONCLUSIVE and conclusion.comparison is not None:
        reasons.append(_what_would_decide(test, power, differing, conclusion.comparison.difference))
    reasons.append(_in_words(power))
    return replace(conclusion, power=power, reasons=tuple(reasons))


def _differing(evidence: Evidence) -> float:
    """Mean square of the differences, as the share of examples that are won or lost.

    Half an example more, so that a set without a difference does not promise that there is none.
    """
    candidate, champion = evidence.candidate, evidence.champion
    assert champion is not None
    seen = candidate.asked
    weights = evidence.examples.weights
    squares = (
        (candidate.mean(place) - champion.mean(place)) ** 2 * weights[place] for place in seen
    )
    share = math.fsum(squares) / math.fsum(weights[place] for place in seen)
    return (share * len(seen) + 0.5) / (len(seen) + 1)


def _split(differing: float, difference: float) -> tuple[float, float]:
    """Shares of wins and losses of which `differing` are one or the other."""
    differing = min(1.0, max(differing, abs(difference)))
    return (differing + difference) / 2, (differing - difference) / 2


def _least_drop(chance: Callable[[float], float]) -> float | None:
    """Return the least drop, in thousandths, that is seen with enough probability."""
    low, high = 0, 1000
    if chance(1.0) < PROBABILITY:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle / 1000) >= PROBABILITY else (middle, high)
    return high / 1000


def _least_number(chance: Callable[[int], float]) -> int | None:
    """About the least number of examples with which the chance is enough."""
    low, high = 1, 2
    while chance(high) < PROBABILITY:
        if high == MOST_EXAMPLES:
            return None
        low, high = high, min(2 * high, MOST_EXAMPLES)
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= PROBABILITY else (middle, high)
    return high


def _what_would_decide(test: GateTest, power: Power, differing: float, difference: float) -> str:
    wins, losses = _split(differing, difference)
    if reaches(difference, -test.margin):
        number = _least_number(lambda n: test.power_to_pass(n, wins, losses))
    else:
        number = _least_number(lambda n: test.power_to_block(n, wins, losses))
    if number is None:
        return (
            "the difference is so close to the margin that it would take more than"
            f" {wording.count(MOST_EXAMPLES, 'example')} to decide, if it stays as it is"
        )
    more = max(1, number - power.n)
    return (
        f"label about {wording.count(more, 'more example')}: if the difference stays as it is,"
        f" {wording.noun(more, 'it', 'they')} would decide"
    )


def _in_words(power: Power) -> str:
    seen = "no drop"
    if power.detectable is not None:
        seen = f"a drop of {power.detectable:.2f}"
    return (
        f"power: with {_these(power.n)} {seen} would be seen (probability {PROBABILITY});"
        f" to rule out a drop of {power.margin:g} where there is none takes {_number(power)}"
    )


def _these(n: int) -> str:
    return f"{wording.noun(n, 'this', 'these')} {wording.count(n, 'example')}"


def _number(power: Power) -> str:
    if power.needed is None:
        return f"more than {wording.count(MOST_EXAMPLES, 'example')}"
    return wording.count(power.needed, "example")


def _against_threshold(evidence: Evidence, threshold: float, gate: Gate) -> tuple[Power, str]:
    """Return the power of the point rule: how often a true score below the threshold misses it.

    For scores that are right or wrong; of all scores they vary most.
    """
    weighing = DesignEffect.of(evidence.examples.weights)
    n = len(evidence.candidate.asked)

    def misses(examples: int, drop: float) -> float:
        equal = max(1, round(examples * weighing.effective))
        return 1 - _at_least(math.ceil(equal * stated(threshold)), equal, threshold - drop)

    power = Power(
        n=n,
        margin=gate.margin,
        detectable=_least_drop(lambda drop: misses(n, drop)),
        needed=_least_number(lambda number: misses(number, gate.margin)),
    )
    seen = "no score"
    if power.detectable is not None:
        missed = max(0.0, threshold - power.detectable)
        seen = f"a true score of {wording.score(missed, threshold, places=2)}"
    return power, (
        f"power: with {_these(n)} {seen} would miss the threshold (probability"
        f" {PROBABILITY}); for a true score {power.margin:g} below it that takes {_number(power)}"
    )
