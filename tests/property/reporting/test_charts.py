"""The geometry of charts: nothing lies outside, nothing is lost."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.reporting.charts import histogram, nice, outline, sparkline

VALUES = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=60)


@given(VALUES, VALUES)
def test_a_histogram_counts_every_value_once(first: list[float], second: list[float]) -> None:
    found = histogram(first, second)
    assert found is not None
    assert [sum(counts) for counts in found.counts] == [len(first), len(second)]
    assert found.beyond == sum(value > found.upper for value in (*first, *second))
    assert all(share <= found.highest for shares in found.shares for share in shares)


@given(st.floats(1e-9, 1e9, allow_nan=False))
def test_a_nice_number_is_a_little_above(value: float) -> None:
    assert value <= nice(value) * (1 + 1e-9)
    assert nice(value) < 2.1 * value


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_paths_stay_in_their_boxes(values: list[float]) -> None:
    numbers = re.findall(r"[\d.]+", sparkline(values, 24) + outline(values, 1, 24))
    assert all(0 <= float(number) <= 100 for number in numbers)
