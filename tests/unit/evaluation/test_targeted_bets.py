"""Bets that aim at the margin: what they show, what they never show, and what they may not know."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest

from prompt_hub.gate.targeted_bets import TargetedTest

ALPHA = 0.1


def aimed(
    values: list[float],
    margin: float,
    *,
    of: int = 0,
    weights: list[float] | None = None,
    alpha: float = ALPHA,
) -> TargetedTest:
    """A test of differences, given as values from 0 (lost) to 1 (won), the first ones of a set."""
    whole = weights or [1.0] * max(of, len(values))
    pairs = list(zip(values, whole, strict=False))
    return TargetedTest.of([pairs], whole, alpha, (1.0,), (1 - margin) / 2)


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
def test_ties_pass_with_the_fewest_examples_that_any_test_can_do_with(
    margin: float, alpha: float
) -> None:
    # Fewer let a loss of the margin, one example in so many, hide more often than alpha.
    least = math.ceil(math.log(alpha) / math.log(1 - margin))
    assert aimed([0.5] * least, margin, alpha=alpha).shown
    assert not aimed([0.5] * (least - 1), margin, alpha=alpha).shown


@pytest.mark.parametrize(
    ("won", "lost", "margin"),
    [(0.0, 0.3, 0.3), (0.1, 0.4, 0.3), (0.3, 0.6, 0.3), (0.0, 0.1, 0.1), (0.2, 0.7, 0.5)],
)
@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_no_error_is_more_frequent_than_alpha_over_all_outcomes_there_are(
    won: float, lost: float, margin: float, alpha: float
) -> None:
    shares = {1.0: won, 0.0: lost, 0.5: 1 - won - lost}
    assert won - lost == pytest.approx(-margin)
    wrong = 0.0
    for values in product(shares, repeat=7):
        chance = math.prod(shares[value] for value in values)
        # At one look after any example: what was once reached counts as shown.
        if chance and aimed(list(values), margin, alpha=alpha).shown:
            wrong += chance
    assert wrong <= alpha


def test_a_set_that_is_worse_by_the_margin_itself_hides_no_better() -> None:
    random, worse = Random(5), [0.0] * 24 + [1.0] * 12 + [0.5] * 84
    wrong = 0
    for _ in range(300):
        random.shuffle(worse)
        wrong += aimed(worse, 0.1).shown
    assert wrong / 300 <= ALPHA


def test_heavy_losses_weigh_what_they_weigh_in_any_order() -> None:
    random, wrong = Random(6), 0
    pairs = [(0.5, 1.0)] * 80 + [(0.5, 6.0)] * 16 + [(0.0, 6.0)] * 4
    total = sum(weight for _, weight in pairs)
    margin = 4 * 6.0 / total
    for _ in range(300):
        random.shuffle(pairs)
        weights = [weight for _, weight in pairs]
        wrong += aimed([value for value, _ in pairs], margin, weights=weights).shown
    assert wrong / 300 <= ALPHA


def test_nothing_is_shown_that_the_sample_denies() -> None:
    lucky, then = [1.0] * 40, [0.0] * 60
    assert aimed(lucky, 0.1, of=100).shown
    late = aimed(lucky + then, 0.1)
    assert not late.shown
    assert late.lower_bound() <= late.sample.mean


def test_what_is_shown_is_where_the_interval_ends() -> None:
    random = Random(4)
    for _ in range(40):
        values = [random.choice([0.0, 0.5, 0.5, 0.5, 0.75, 1.0]) for _ in range(60)]
        test = aimed(values, 0.1, of=random.choice([60, 90]))
        low = test.lower_bound()
        assert low <= test.sample.mean
        assert (low >= test.target) == test.shown


def test_what_the_first_round_has_won_does_not_lead_the_bets_of_the_second() -> None:
    second = [(0.5, 1.0), (0.0, 1.0), (1.0, 1.0)] * 10

    def stakes(first: float) -> tuple[float, ...]:
        rounds = [[(first, 1.0)] * 30, second]
        test = TargetedTest.of(rounds, [1.0] * 30, ALPHA, (0.5, 0.5), 0.45)
        return test._rounds[1].stakes

    assert stakes(0.25) == stakes(1.0)


def test_a_stake_depends_on_what_came_before_alone() -> None:
    start = [0.5, 0.0, 1.0, 0.5, 0.5]
    one, other = aimed([*start, 0.0], 0.1, of=50), aimed([*start, 1.0], 0.1, of=50)
    assert one._rounds[0].stakes[:6] == other._rounds[0].stakes[:6]
