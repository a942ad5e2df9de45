"""Confidence sequences: they hold the mean, cover the truth at every look, and cost no order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.gate.confidence_sequence import (
    PRECISION,
)
from tests.unit.evaluation.betting import sample

UNIT = st.floats(0, 1, allow_subnormal=False)
WEIGHT = st.floats(0.01, 100)
WEIGHTED = st.lists(st.tuples(UNIT, WEIGHT), min_size=1, max_size=60)


@given(WEIGHTED)
def test_the_interval_holds_the_running_mean_and_stays_in_bounds(
    pairs: list[tuple[float, float]],
) -> None:
    low, high = sample(pairs).interval()
    mean = sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1


@given(WEIGHTED)
def test_the_bound_is_where_the_test_turns(pairs: list[tuple[float, float]]) -> None:
    observations = sample(pairs)
    low = observations.lower_bound()
    assert observations.exceeds(low)
    assert low + 2 * PRECISION > observations.mean or not observations.exceeds(low + 2 * PRECISION)


@given(WEIGHTED, st.floats(0.01, 0.98), st.floats(0.001, 0.01))
def test_the_more_is_doubted_the_less_is_won(
    pairs: list[tuple[float, float]], mean: float, more: float
) -> None:
    observations = sample(pairs)
    assert observations.log_wealth(mean) >= observations.log_wealth(mean + more) - 1e-9


@given(WEIGHTED)
def test_order_does_not_matter_to_the_last_bit(pairs: list[tuple[float, float]]) -> None:
    assert sample(pairs).interval() == sample(pairs[::-1]).interval()


@given(WEIGHTED)
def test_a_mirrored_sample_has_the_mirrored_interval(pairs: list[tuple[float, float]]) -> None:
    low, high = sample(pairs).interval()
    back = sample([(1 - value, weight) for value, weight in pairs]).interval()
    assert back == pytest.approx((1 - high, 1 - low), abs=3 * PRECISION)
