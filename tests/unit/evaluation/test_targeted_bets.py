"""Bets that aim at the margin: what they show, what they never show, and what they may not know."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest

from prompt_hub.gate.planned_stakes import STEP, STEPS, planned_stake
from prompt_hub.gate.rules import betting_of
from prompt_hub.gate.targeted_bets import TargetedTest
from prompt_hub.repository.schema import Gate
from tests.unit.evaluation.evidence import evidence

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


def test_a_mirrored_test_is_that_of_what_is_lost() -> None:
    chance = Random(5)
    values = [chance.choice((0.0, 0.1, 0.5, 0.5, 0.7, 1.0)) for _ in range(60)]
    weights = [chance.choice((0.5, 1.0, 3.0)) for _ in values]
    mirrored = aimed(values, 0.1, weights=weights).mirrored(0.55)
    pairs = [(1 - value, weight) for value, weight in zip(values, weights, strict=True)]
    found = TargetedTest.of([pairs], weights, ALPHA, (1.0,), 0.55)
    assert mirrored.sample.rounds == found.sample.rounds
    assert (mirrored.betting, mirrored.shown) == (found.betting, found.shown)
    assert mirrored.lower_bound() == found.lower_bound() > 0


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


def test_what_was_won_early_puts_no_bound_above_the_mean() -> None:
    # The ties alone reach the goal; what is lost after them is not bet on by the hedge.
    late = aimed([0.5] * 60 + [0.0] * 30, 0.1)
    assert aimed([0.5] * 60, 0.1, of=90).shown
    assert late._excess(late.sample.mean) > 0
    assert late.lower_bound() == late.sample.mean


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


def test_few_examples_of_which_a_tenth_differ_pass_two_times_in_three() -> None:
    # BCa's rule passes 75 of 100; no test that holds can pass more than 77.
    random, passed = Random(7), 0
    for _ in range(300):
        values = [random.choice([0.0] + [0.5] * 18 + [1.0]) for _ in range(48)]
        passed += aimed(values, 0.1).shown
    assert passed / 300 > 0.63


def test_a_few_heavy_losses_among_light_ties_are_borne() -> None:
    random, passed = Random(8), 0
    weights = [1.0] * 160 + [3.0] * 20 + [6.0] * 20
    for _ in range(200):
        random.shuffle(weights)
        values = [
            random.choice([0.0] + [0.5] * 9 + [1.0]) if weight == 6 else 0.5 for weight in weights
        ]
        passed += aimed(values, 0.1, weights=weights).shown
    assert passed / 200 > 0.8


def test_stakes_are_never_more_than_there_is_and_the_last_ties_take_all_that_they_need() -> None:
    for steps in (0.3, 1.0, 2.7, 30.0, STEPS - 0.1):
        for hand in (1e-9, 0.01, 0.1, 0.5, 0.9, 1.0):
            for spread in (0.0, 0.5, 4.0):
                assert 0 <= planned_stake(hand, steps, spread) <= 1
    just = (1 + STEP) ** -7
    assert planned_stake(just, 7.0, 0.0) == pytest.approx(1)


def test_an_earlier_gate_bets_as_it_did_and_one_look_more_boldly_than_several() -> None:
    there, gate = evidence([1.0] * 65, [1.0] * 65), Gate(first_look=64)
    assert betting_of(there, gate, "2") == "gate 2"
    assert betting_of(there, gate, "3") == "several looks"
    assert betting_of(there, Gate(first_look=65), "3") == "one look"


@pytest.mark.parametrize(
    ("margin", "low"),
    [(0.05, 0.4316859356138943), (0.1, 0.42594985240260314), (0.3, 0.4160936658578682)],
)
def test_bounds_of_the_gate_before_this_one_are_what_they_were(margin: float, low: float) -> None:
    values = [0.0, *[0.5] * 20, 1.0, 0.5, 0.0, *[0.5] * 24, 1.0]
    pairs = [(value, 1.0 + 2 * (place % 3 == 0)) for place, value in enumerate(values)]
    weights = [*(weight for _, weight in pairs), *[1.0] * 20]
    found = TargetedTest.of([pairs], weights, ALPHA, (1.0,), (1 - margin) / 2, betting="gate 2")
    assert found.lower_bound() == pytest.approx(low, abs=1e-9)
