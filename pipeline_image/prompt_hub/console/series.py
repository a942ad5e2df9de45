"""The scores of a task over time, as places on axes from 0 to 100: what the small chart draws."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from prompt_hub.core import wording
from prompt_hub.ledger.items import Event, EventKind, ScoreSample
from prompt_hub.ledger.messages import headline
from prompt_hub.reporting import words

NEAR = 24
"""Of the height: scores that are nearer than this are not both named beside a small chart."""
MARKED = {
    EventKind.ROLLED_BACK: "bad",
    EventKind.PAGED: "bad",
    EventKind.FROZEN: "warn",
    EventKind.DOWNGRADED: "warn",
    EventKind.RETIRED: "warn",
}
"""Tone of what is marked in the chart; everything else that moves a pointer is plain."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One score; `way_back` where it is not of what was active then."""

    x: float
    y: float
    low: float
    high: float
    way_back: bool
    below: bool
    title: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A stretch from one place to another."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, kw_only=True)
class Level:
    """A score that is named beside the chart."""

    y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that happened to the task."""

    x: float
    tone: str
    title: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class Series:
    """All of a chart; the score at its upper edge is 1."""

    points: tuple[Point, ...]
    lines: tuple[Line, ...]
    thresholds: tuple[Line, ...]
    marks: tuple[Mark, ...]
    levels: tuple[Level, ...]
    since: datetime
    description: str
    """The same in words."""


def draw(samples: Sequence[ScoreSample], events: Sequence[Event], now: datetime) -> Series | None:
    """Return the chart of samples and events, both the oldest first; None without a sample."""
    if not samples:
        return None
    times = [_time(sample.at) for sample in samples]
    # To the minute: a picture that moves with every second is sent with every second.
    until = max(now, times[-1]).replace(second=0, microsecond=0) + timedelta(minutes=1)
    since = times[0]
    span = until - since
    least = min(min(sample.interval[0], sample.threshold) for sample in samples)
    floor = max(min(math.floor(10 * least - 0.5) / 10, 0.9), 0.0)

    def x(at: datetime) -> float:
        return round(2 + 96 * ((at - since) / span), 2)

    def y(score: float) -> float:
        return round(100 * (1 - (max(score, floor) - floor) / (1 - floor)), 2)

    active = _active(samples, events)
    points = tuple(
        Point(
            x=x(at),
            y=y(sample.score),
            low=y(sample.interval[0]),
            high=y(sample.interval[1]),
            way_back=sample.version != version,
            below=sample.below_threshold,
            title=f"{sample.version} scored {words.score(sample.score, sample.threshold)} of"
            f" {words.score(sample.threshold, sample.score)}, {at:%d %b %H:%M} UTC",
        )
        for sample, at, version in zip(samples, times, active, strict=True)
    )
    own = [
        (point, sample) for point, sample in zip(points, samples, strict=True) if not point.way_back
    ]
    shown = [event for event in events if _time(event.at) >= since]
    return Series(
        points=points,
        lines=tuple(
            Line(x1=a.x, y1=a.y, x2=b.x, y2=b.y)
            for (a, before), (b, after) in pairwise(own)
            if before.version == after.version
        ),
        thresholds=tuple(_thresholds([(point.x, y(item.threshold)) for point, item in own])),
        marks=tuple(
            Mark(
                x=x(_time(event.at)),
                tone=MARKED.get(event.kind, "plain"),
                title=f"{headline(event)}, {_time(event.at):%d %b %H:%M} UTC",
                revision=event.revision,
            )
            for event in shown
        ),
        levels=_levels(floor, own[-1][1].threshold if own else None, y),
        since=since,
        description=_described([item for _, item in own], shown),
    )


def _thresholds(places: Sequence[tuple[float, float]]) -> Iterator[Line]:
    """Yield each stretch over which the threshold stays; the last reaches the edge."""
    start = 0
    for index, (_, level) in enumerate(places):
        following = places[index + 1] if index + 1 < len(places) else None
        if following is None or following[1] != level:
            end = following[0] if following else 100.0
            yield Line(x1=places[start][0] if start else 0.0, y1=level, x2=end, y2=level)
            start = index + 1


def _levels(
    floor: float, threshold: float | None, y: Callable[[float], float]
) -> tuple[Level, ...]:
    """Name the newest threshold, and the ends of the axis where they are not near it."""
    named = [] if threshold is None else [Level(y=y(threshold), text=f"{threshold:.2f}")]
    ends = (Level(y=y(1.0), text="1"), Level(y=y(floor), text=f"{floor:.1g}"))
    far = (end for end in ends if all(abs(end.y - other.y) > NEAR for other in named))
    return (*named, *far)


def _active(samples: Sequence[ScoreSample], events: Sequence[Event]) -> list[str]:
    """Return which version was active at each sample."""
    moments = [event.at for event in events]
    found = []
    for sample in samples:
        place = bisect_right(moments, sample.at)
        if place:
            found.append(events[place - 1].reached.version)
        elif events:
            left = events[0].left or events[0].reached
            found.append(left.version)
        else:
            found.append(sample.version)
    return found


def _described(own: Sequence[ScoreSample], events: Sequence[Event]) -> str:
    if not own:
        return "no score of what is active"
    newest = own[-1]
    parts = [
        wording.count(len(own), "score"),
        f"the newest {words.score(newest.score, newest.threshold)},"
        f" threshold {words.score(newest.threshold, newest.score)}",
        *(headline(event) for event in events[-3:]),
    ]
    return "; ".join(parts)


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)
