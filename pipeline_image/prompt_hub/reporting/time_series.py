"""Scores over time as one small plot: what was served, its threshold, and what happened when.

Places are fractions of the plot, 0 at the left and at the top: the same plot fits any width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from prompt_hub.reporting import words

NEAR = 0.055
"""Of the width: marks that are nearer than this stand below each other, that none hides another."""


@dataclass(frozen=True)
class Score:
    """One measured score; `kind` is how it is drawn, `label` stands beside it."""

    at: datetime
    score: float
    threshold: float
    kind: str
    label: str = ""

    @property
    def tone(self) -> str:
        """Whether it reaches its threshold."""
        return "good" if self.score >= self.threshold else "bad"


@dataclass(frozen=True)
class Point:
    """A score in its place; its label stands on the side where there is room."""

    x: float
    y: float
    score: Score

    @property
    def anchor(self) -> str:
        """Which end of the label is at the point."""
        return "start" if self.x < 0.6 else "end"


@dataclass(frozen=True)
class Line:
    """A straight line between two places."""

    x1: float
    y1: float
    x2: float
    y2: float
    tone: str = ""
    label: str = ""


@dataclass(frozen=True)
class Mark:
    """Something that happened: its number stands in `row` above the plot."""

    x: float
    row: int
    number: int


@dataclass(frozen=True)
class TimeSeries:
    """The plot; `summary` says in words what it shows, `start` and `end` what its ends are."""

    points: tuple[Point, ...]
    lines: tuple[Line, ...]
    thresholds: tuple[Line, ...]
    summary: str
    start: str
    end: str
    marks: tuple[Mark, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows of marks stand above the plot."""
        return max((mark.row + 1 for mark in self.marks), default=0)


class Axes:
    """Where a moment and a score stand."""

    def __init__(self, start: datetime, end: datetime, scores: Iterable[float]) -> None:
        """Take the time that is shown, and every score that must have room."""
        self.start, self.end = start, end
        self._seconds = max((end - start).total_seconds(), 1e-6)
        heights = [*scores]
        lowest, highest = min(heights, default=0.0), max(heights, default=1.0)
        room = max(0.15 * (highest - lowest), 0.04)
        self._bottom, self._top = lowest - room, min(highest + room, 1.04)

    def x(self, at: datetime) -> float:
        """Place of a moment; what lies outside stands at the edge."""
        return min(max((at - self.start).total_seconds() / self._seconds, 0.0), 1.0)

    def y(self, score: float) -> float:
        """Place of a score."""
        return (self._top - score) / (self._top - self._bottom)

    def point(self, score: Score) -> Point:
        """Return a score in its place."""
        return Point(self.x(score.at), self.y(score.score), score)

    def level(
        self, start: datetime, end: datetime, score: float, tone: str = "", label: str = ""
    ) -> Line:
        """Return a score that held from `start` to `end`."""
        return Line(self.x(start), self.y(score), self.x(end), self.y(score), tone, label)


def steps(levels: Sequence[Line]) -> tuple[Line, ...]:
    """Return levels that follow each other, joined by uprights."""
    uprights = [
        Line(after.x1, before.y2, after.x1, after.y1, after.tone)
        for before, after in pairwise(levels)
        if before.y2 != after.y1
    ]
    return (*uprights, *levels)


def marks(axes: Axes, moments: Iterable[datetime]) -> tuple[Mark, ...]:
    """Return numbered marks, those near each other in rows of their own."""
    placed: list[Mark] = []
    for number, at in enumerate(moments, start=1):
        x = axes.x(at)
        near = bool(placed) and x - placed[-1].x < NEAR
        placed.append(Mark(x, placed[-1].row + 1 if near else 0, number))
    return tuple(placed)


def summary(scores: Iterable[Score]) -> str:
    """Say the scores in words, oldest first."""
    return "; ".join(
        f"{score.label or score.kind} {words.score(score.score, score.threshold)}"
        f" of {words.score(score.threshold, score.score)}"
        for score in scores
    )
