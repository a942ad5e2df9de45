"""The small chart: what was active when, below what, and what happened."""

from __future__ import annotations

from dataclasses import replace

from prompt_hub.console.series import draw
from prompt_hub.ledger.items import EventKind
from tests.unit.console.stages import at, event, sample

EVENTS = (
    event("t", 1, EventKind.ACTIVATED, ("1.0.0", "1.1.0"), 1),
    event("t", 2, EventKind.ROLLED_BACK, ("1.1.0", "1.0.0"), 31),
)


def test_without_a_score_there_is_no_chart() -> None:
    assert draw((), EVENTS, at(60)) is None


def test_the_way_back_is_told_apart_from_what_was_active() -> None:
    samples = [sample("t", "1.1.0", 0.9, 0), sample("t", "1.1.0", 0.6, 30)]
    samples += [sample("t", "1.0.0", 0.85, 30), sample("t", "1.0.0", 0.86, 45)]
    chart = draw(samples, EVENTS, at(60))
    assert chart is not None
    # The first was measured before 1.1.0 was active.
    assert [point.way_back for point in chart.points] == [True, False, True, False]
    assert [point.below for point in chart.points] == [False, True, False, False]
    assert [(mark.tone, mark.revision) for mark in chart.marks] == [("plain", 1), ("bad", 2)]
    assert chart.lines == ()


def test_places_follow_time_and_score() -> None:
    samples = [sample("t", "1.0.0", score, minutes) for score, minutes in ((0.9, 0), (0.5, 30))]
    chart = draw(samples, (), at(60))
    assert chart is not None
    first, second = chart.points
    assert first.x == 2
    assert 48 < second.x < 51
    assert first.y < second.y <= 100
    assert second.high < second.y < second.low
    assert [(level.text, level.y) for level in chart.levels] == [
        ("0.80", chart.thresholds[-1].y1),
        ("1", 0),
        ("0.4", 100),
    ]
    assert chart.thresholds[-1].x2 == 100


def test_an_end_of_the_axis_gives_way_to_a_threshold_near_it() -> None:
    chart = draw([replace(sample("t", "1.0.0", 0.99, 0), threshold=0.97)], (), at(10))
    assert chart is not None
    assert [level.text for level in chart.levels] == ["0.97", "0.8"]


def test_a_version_without_history_is_active() -> None:
    chart = draw([sample("t", "1.0.0", 0.9, 0)], (), at(0))
    assert chart is not None
    assert not chart.points[0].way_back
    assert "the newest 0.900, threshold 0.800" in chart.description
