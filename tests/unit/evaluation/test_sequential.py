"""Confidence sequences: they hold the mean, cover the truth at every look, and cost no order."""

from __future__ import annotations

import math
from random import Random

import pytest

from prompt_hub.gate.confidence_sequence import (
    BettingPlan,
    WeightedObservations,
    greatest_below,
    round_allocation,
)
from tests.unit.evaluation.betting import ALPHA, sample


def test_one_score_says_next_to_nothing() -> None:
    low, high = sample([(1.0, 1.0)]).interval()
    assert low < 0.15
    assert high == 1.0


def test_nothing_lost_is_bounded_by_the_rule_of_the_optimal_test() -> None:
    # The shortest valid bound after n wins is alpha^(1/n); a mixture of bets pays for more cases.
    low, high = sample([(1.0, 1.0)] * 100).interval()
    assert 0.96 < low < ALPHA ** (1 / 100)
    assert high == 1.0


def test_a_bound_is_never_above_the_greatest_mean_that_is_asked_about() -> None:
    assert greatest_below(0.5, lambda mean: 1.0 - mean) == 0.5


def test_capital_is_divided_over_rounds() -> None:
    assert round_allocation(1) == (1.0,)
    assert round_allocation(3) == (0.5, 0.25, 0.25)
    assert sum(round_allocation(20)) == pytest.approx(1.0)


def test_capital_does_not_grow_on_average_where_the_doubt_is_unfounded() -> None:
    """The one fact that everything rests on, for the mean in question and uneven weights."""
    random = Random(11)
    weights = [1.0, 1.0, 1.0, 5.0] * 5
    stakes = BettingPlan.on(weights, ALPHA)
    runs = 4000
    wealth = []
    for _ in range(runs):
        pairs = [(float(random.random() < 0.3), weight) for weight in weights]
        wealth.append(math.exp(WeightedObservations.of([pairs], stakes).log_wealth(0.3)))
    mean = sum(wealth) / runs
    error = math.sqrt(sum((item - mean) ** 2 for item in wealth)) / runs
    assert mean < 1 + 4 * error


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.9])
def test_the_truth_is_covered_at_every_look(truth: float) -> None:
    random = Random(int(100 * truth))
    looks, runs = (8, 16, 32, 64, 128), 300
    stakes = BettingPlan.on([1.0] * looks[-1], ALPHA)
    misses = {"below": 0, "above": 0}
    for _ in range(runs):
        pairs = [(float(random.random() < truth), 1.0) for _ in range(looks[-1])]
        seen = [WeightedObservations.of([pairs[:look]], stakes) for look in looks]
        misses["above"] += any(
            weighted_observations.exceeds(truth) for weighted_observations in seen
        )
        misses["below"] += any(observations.mirrored.exceeds(1 - truth) for observations in seen)
    limit = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    assert all(count / runs <= limit for count in misses.values()), misses
