"""Agreement with people: published values, what chance gives, and an interval that holds."""

from __future__ import annotations

import random

import pytest

from prompt_hub.gate.agreement import Pair, agreement, kappa

ANXIETY = [
    *zip(
        [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
        [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
        strict=True,
    )
]
"""Raters 2 and 3 of the data set `anxiety` of the R package irr."""


def test_a_kappa_of_three_fifths_is_three_fifths() -> None:
    # One is graded 1 for 0, one 0 for 1, eight are right: (0.8 - 0.5) / 0.5.
    pairs: list[Pair] = [(0, 0)] * 4 + [(1, 1)] * 4 + [(0, 1), (1, 0)]
    assert kappa(pairs) == 0.6
    assert kappa(pairs * 7) == 0.6


def test_kappa_is_what_other_packages_publish() -> None:
    # R: kappa2(anxiety[, 2:3], "squared"); irr numbers the categories that occur.
    ranks = {
        grade: rank for rank, grade in enumerate(sorted({g for pair in ANXIETY for g in pair}))
    }
    assert kappa([(ranks[a], ranks[b]) for a, b in ANXIETY]) == pytest.approx(0.2520325, abs=1e-7)
    # scikit-learn's test of cohen_kappa_score with quadratic weights.
    item = [0] * 46 + [1] * 44 + [2] * 10
    other = [0] * 50 + [1] * 40 + [2] * 10
    assert kappa([*zip(item, other, strict=True)]) == pytest.approx(0.9541, abs=1e-4)


def test_a_judge_that_guesses_agrees_by_chance_only() -> None:
    chance = random.Random(7)
    guesses = [(chance.randint(1, 5), chance.randint(1, 5)) for _ in range(20_000)]
    assert kappa(guesses) == pytest.approx(0, abs=0.02)


def test_a_set_of_one_grade_says_nothing_about_a_judge() -> None:
    assert kappa([]) is None
    assert kappa([(3, 3)] * 10) is None
    assert agreement({"a": [(3, 3)], "b": [(3, 3)]}, 0.9) is None


def test_the_interval_is_the_same_for_the_same_grades_and_has_the_value_in_it() -> None:
    by_id = {str(number): [pair] for number, pair in enumerate(ANXIETY)}
    found = agreement(by_id, 0.9)
    assert found is not None
    assert found == agreement(dict(reversed(by_id.items())), 0.9)
    assert found.n == 20
    assert found.low < found.value < found.high <= 1


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = random.Random(11)

    def pair() -> Pair:
        truth = chance.randint(1, 5)
        return min(5, max(1, truth + chance.choice([-1, 0, 0, 1]))), truth

    truth = kappa([pair() for _ in range(50_000)])
    assert truth is not None
    covered = 0
    for _ in range(40):
        found = agreement({str(i): [pair()] for i in range(40)}, 0.9)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered >= 40 * 0.75


def test_repeats_of_an_example_are_no_further_examples() -> None:
    once = {str(number): [pair] for number, pair in enumerate(ANXIETY)}
    thrice = {name: item * 3 for name, item in once.items()}
    single, repeated = agreement(once, 0.9), agreement(thrice, 0.9)
    assert single is not None
    assert repeated is not None
    assert repeated.value == pytest.approx(single.value)
    assert repeated.low == pytest.approx(single.low)
    assert repeated.n == single.n
