"""Numbers that floats miss, and what they are."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest

from prompt_hub.core.exact import (
    ExactSum,
    careful,
    earned,
    reaches,
    stated,
    surplus,
    weighted_mean,
)


def test_weights_of_3_3_4_earn_seven_tenths() -> None:
    assert (3 * 1.0 + 4 * 1.0) / 10 == 0.7  # what follows is not so simple
    assert (0.7 + 0.7 + 0.7) / 3 < 0.7
    assert weighted_mean([(0.7, 1.0)] * 3) == Fraction(7, 10)


def test_thirds_add_up() -> None:
    assert weighted_mean([(1 / 3, 1.0), (2 / 3, 1.0), (0.5, 1.0)]) == Fraction(1, 2)


def test_a_weight_counts_as_it_was_written() -> None:
    assert 0.7 + 0.1 < 0.8
    assert reaches(weighted_mean([(1.0, 0.7), (1.0, 0.1), (0.0, 0.2)]), 0.8)


def test_a_loss_that_three_digits_hide_is_a_loss() -> None:
    heavy = weighted_mean([(1.0, 1e15), (0.0, 1.0)])
    assert not reaches(heavy, 1.0)
    assert surplus(heavy, 1.0) < 0


def test_weights_beyond_what_floats_add_up() -> None:
    assert weighted_mean([(1.0, 1e308), (0.0, 1e308), (0.5, 1e308)]) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("score", "meant"),
    [(1.0000000000000002, 1), (-1e-17, 0), (0.30000000000000004, 0.3), (0.7999999999999999, 0.8)],
)
def test_a_careless_sum_is_what_was_meant(score: float, meant: float) -> None:
    assert careful(score) == meant


@pytest.mark.parametrize("score", [0.8414709848078965, 1.00001, 0.999999])
def test_what_is_no_rounding_stays(score: float) -> None:
    assert careful(score) == score


def test_an_irrational_score_is_taken_as_it_is_printed() -> None:
    assert earned(0.8414709848078965) == stated(0.8414709848078965)


def test_a_sum_in_any_order_and_in_parts_is_that_of_all() -> None:
    chance = Random(3)
    numbers = [chance.choice((1e16, 1.0, 1e-9, 5e-324)) * chance.random() for _ in range(300)]
    first, rest = ExactSum(), ExactSum()
    for place, number in enumerate(numbers):
        (rest if place % 3 else first).add(number)
    first.merge(rest)
    assert (float(first), first.count) == (math.fsum(numbers), 300)
    assert float(ExactSum()) == 0.0
