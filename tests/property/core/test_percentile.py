"""The percentile that records store and pages show: nearest rank, a value that was measured."""

from __future__ import annotations

from statistics import median_low

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.core.percentile import percentile

VALUES = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=60)
SHARES = st.floats(0, 1, exclude_min=True)


@given(VALUES, SHARES)
def test_it_is_the_smallest_value_that_the_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    """The definition itself, counted out (Hyndman and Fan's type 1)."""
    found = percentile(values, share)
    assert found in values
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values) * (1 - 1e-12)
    assert sum(value < found for value in values) < share * len(values)


@given(VALUES, SHARES, SHARES)
def test_it_is_bounded_grows_with_the_share_and_knows_no_order(
    values: list[float], first: float, second: float
) -> None:
    low, high = (percentile(values, share) for share in sorted((first, second)))
    assert low is not None
    assert high is not None
    assert min(values) <= low <= high <= max(values) == percentile(values, 1)
    assert low == percentile(reversed(values), min(first, second))


@given(VALUES)
def test_the_half_is_the_lower_median(values: list[float]) -> None:
    assert percentile(values, 0.5) == median_low(values)
