"""The geometry of charts: nothing lies outside, nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from prompt_hub.reporting import words
from prompt_hub.reporting.charts import histogram, sparkline
from prompt_hub.reporting.time_series import Axes, marks, steps


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


@pytest.mark.parametrize(
    ("kinds", "places"), [(["a"], [0.5]), (["a", "b"], [0, 1]), (["a", "b", "c"], [0, 0.5, 1])]
)
def test_a_sparkline_fills_its_width(kinds: list[str], places: list[float]) -> None:
    points = sparkline([(0.75, kind) for kind in kinds])
    assert [point.x for point in points] == places
    assert [point.kind for point in points] == kinds
    assert {point.y for point in points} == {0.25}


NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def test_every_place_of_a_series_lies_in_its_plot() -> None:
    axes = Axes(NOON, NOON + timedelta(hours=1), [0.2, 0.9])
    assert axes.x(NOON - timedelta(days=1)) == 0
    assert axes.x(NOON + timedelta(minutes=15)) == 0.25
    assert axes.x(NOON + timedelta(days=1)) == 1
    assert 0 < axes.y(0.9) < axes.y(0.2) < 1


def test_one_moment_and_one_score_have_a_place_too() -> None:
    axes = Axes(NOON, NOON, [0.5])
    assert axes.x(NOON) == 0
    assert 0 < axes.y(0.5) < 1
    assert 0 < Axes(NOON, NOON, []).y(0.5) < 1


def test_marks_near_each_other_stand_in_rows() -> None:
    axes = Axes(NOON, NOON + timedelta(seconds=100), [0.5])
    placed = marks(axes, [NOON + timedelta(seconds=second) for second in (0, 2, 4, 50, 99)])
    assert [mark.row for mark in placed] == [0, 1, 2, 0, 0]


def test_levels_are_joined_where_they_differ() -> None:
    axes = Axes(NOON, NOON + timedelta(seconds=100), [0.2, 0.8])
    times = [NOON + timedelta(seconds=second) for second in (0, 40, 70, 100)]
    scores = (0.8, 0.2, 0.2)
    levels = [
        axes.level(begin, end, score)
        for begin, end, score in zip(times, times[1:], scores, strict=False)
    ]
    (upright,) = set(steps(levels)) - set(levels)
    assert (upright.x1, upright.x2) == (0.4, 0.4)
    assert (upright.y1, upright.y2) == (axes.y(0.8), axes.y(0.2))
