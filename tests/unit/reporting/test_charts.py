"""The geometry of charts: nothing lies outside, nothing is lost."""

from __future__ import annotations

import pytest

from prompt_hub.reporting import words
from prompt_hub.reporting.charts import histogram


def test_a_histogram_of_nothing_is_none() -> None:
    assert histogram([], []) is None
    assert histogram([], [1.0]) is not None


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "–"), (0, "$0.00"), (12.5, "$12.50"), (1234.5, "$1,234.50"), (0.0123, "$0.012"),
     (0.000107, "$0.00011"), (2e-7, "$0.00000020")],
)  # fmt: skip
def test_money_keeps_two_digits_that_mean_something(usd: float | None, text: str) -> None:
    assert words.money(usd) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0004, "0 ms"), (0.25, "250 ms"), (0.9996, "1.0 s"), (62, "1 min 02 s")],
)
def test_latency_is_said_in_milliseconds_below_a_second(seconds: float | None, text: str) -> None:
    assert words.latency(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "+0.050"), (-0.05, "−0.050"), (0.0001, "±0.000"), (None, "–")]
)
def test_a_difference_has_its_sign(value: float | None, text: str) -> None:
    assert words.signed(value) == text
