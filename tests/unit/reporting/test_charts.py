"""The geometry of charts: nothing lies outside, nothing is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.reporting import words
from prompt_hub.reporting.charts import histogram, nice, outline, sparkline

VALUES = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=60)


@given(VALUES, VALUES)
def test_a_histogram_counts_every_value_once(first: list[float], second: list[float]) -> None:
    found = histogram(first, second)
    assert found is not None
    assert [sum(counts) for counts in found.counts] == [len(first), len(second)]
    assert found.beyond == sum(value > found.upper for value in (*first, *second))
    assert all(share <= found.highest for shares in found.shares for share in shares)


def test_a_histogram_of_nothing_is_none() -> None:
    assert histogram([], []) is None
    assert histogram([], [1.0]) is not None


@given(st.floats(1e-9, 1e9, allow_nan=False))
def test_a_nice_number_is_a_little_above(value: float) -> None:
    assert value <= nice(value) * (1 + 1e-9)
    assert nice(value) < 2.1 * value


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_paths_stay_in_their_boxes(values: list[float]) -> None:
    numbers = re.findall(r"[\d.]+", sparkline(values, 24) + outline(values, 1, 24))
    assert all(0 <= float(number) <= 100 for number in numbers)


@pytest.mark.parametrize(
    ("usd", "said"),
    [(None, "–"), (0, "$0.00"), (12.5, "$12.50"), (1234.5, "$1,234.50"), (0.0123, "$0.012"),
     (0.000107, "$0.00011"), (2e-7, "$0.00000020")],
)  # fmt: skip
def test_money_keeps_two_digits_that_mean_something(usd: float | None, said: str) -> None:
    assert words.money(usd) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0.0004, "0 ms"), (0.25, "250 ms"), (0.9996, "1.0 s"), (62, "1 min 02 s")],
)
def test_latency_is_said_in_milliseconds_below_a_second(seconds: float | None, said: str) -> None:
    assert words.latency(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.05, "+0.050"), (-0.05, "−0.050"), (0.0001, "±0.000"), (None, "–")]
)
def test_a_difference_has_its_sign(value: float | None, said: str) -> None:
    assert words.signed(value) == said
