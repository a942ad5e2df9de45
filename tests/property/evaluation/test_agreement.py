"""Agreement with people: published values, what chance gives, and an interval that holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.gate.agreement import Pair, kappa

grades = st.integers(1, 5)
pairs = st.lists(st.tuples(grades, grades), min_size=1, max_size=30)


@given(pairs)
def test_kappa_is_the_weighted_table_of_cohens_definition(given_: list[Pair]) -> None:
    n = len(given_)
    observed = sum((a - b) ** 2 for a, b in given_) / n
    by_chance = sum((a - b) ** 2 for a, _ in given_ for _, b in given_) / n**2
    found = kappa(given_)
    if by_chance == 0:
        assert found is None
    else:
        assert found == pytest.approx(1 - observed / by_chance)


@given(pairs)
def test_it_is_one_only_for_the_same_grades_and_the_same_both_ways(given_: list[Pair]) -> None:
    found = kappa(given_)
    if found is None:
        return
    assert found <= 1
    assert (found == 1) == all(a == b for a, b in given_)
    assert found == pytest.approx(kappa([(b, a) for a, b in given_]))
