"""The geometry of charts: nothing lies outside, nothing is lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.reporting.charts import histogram, nice, outline, sparkline
from prompt_hub.reporting.time_series import NEAR, Axes, marks

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
    numbers = re.findall(r"[\d.]+", outline(values, 1, 24))
    assert all(0 <= float(number) <= 100 for number in numbers)
    points = sparkline([(value, "earlier") for value in values])
    assert all(0 <= place <= 1 for point in points for place in (point.x, point.y))


@given(
    st.lists(st.tuples(st.datetimes(timezones=st.just(UTC)), st.floats(0, 1)), min_size=1),
    st.datetimes(timezones=st.just(UTC)),
)
def test_every_score_and_mark_of_a_series_has_its_place(
    scores: list[tuple[datetime, float]], end: datetime
) -> None:
    axes = Axes(min(end, scores[0][0]), max(end, scores[0][0]), [value for _, value in scores])
    assert all(0 <= axes.x(at) <= 1 and 0 <= axes.y(value) <= 1 for at, value in scores)
    placed = marks(axes, sorted(at for at, _ in scores))
    assert all(mark.x - before.x >= NEAR or mark.row > before.row
               for before, mark in pairwise(placed))  # fmt: skip
