"""The plot of a task's scores over time: as versions were judged, and as they were watched."""

from __future__ import annotations

from itertools import groupby, pairwise

from prompt_hub.reporting import time_series
from prompt_hub.reporting.evaluation import EvaluationView, Past
from prompt_hub.reporting.pages import clock, day
from prompt_hub.repository.registry import VersionState

MOST_LABELS = 8
"""Versions that are named in the plot; of more only the report's own is, the table has the rest."""


def score_history(view: EvaluationView) -> time_series.TimeSeries | None:
    """Return score against threshold over time; None where there are not two moments to join."""
    judged = sorted(
        ((past, past.score) for past in view.history if past.score is not None),
        key=lambda pair: pair[0].at,
    )
    times = [past.at for past, _ in judged] + [one.at for one in view.watched]
    if len(set(times)) < 2:
        return None
    start, end = min(times), max(times)
    moment = clock if start.date() == end.date() else day
    room = 0.04 * (end - start)
    named = len(judged) <= MOST_LABELS
    scores = [
        time_series.Score(
            at=past.at,
            score=score,
            threshold=past.threshold,
            kind=_kind(past),
            label=past.version if named or past.here else "",
        )
        for past, score in judged
    ]
    watched = [
        time_series.Score(at=one.at, score=one.score, threshold=one.threshold, kind="watch")
        for one in view.watched
    ]
    axes = time_series.Axes(
        start - room,
        end + room,
        [value for one in (*scores, *watched) for value in (one.score, one.threshold)],
    )
    ends = [*(past.at for past, _ in judged[1:]), axes.end]
    return time_series.TimeSeries(
        points=tuple(axes.point(score) for score in (*watched, *scores)),
        lines=tuple(
            time_series.Line(
                axes.x(one.at), axes.y(one.score), axes.x(after.at), axes.y(after.score)
            )
            for _, group in groupby(
                sorted(view.watched, key=lambda one: (one.version, one.at)),
                lambda one: one.version,
            )
            for one, after in pairwise(group)
        ),
        thresholds=time_series.steps(
            [
                axes.level(past.at, until, past.threshold)
                for (past, _), until in zip(judged, ends, strict=False)
            ]
        ),
        summary=time_series.summary(scores),
        start=moment(start),
        end=moment(end),
    )


def _kind(past: Past) -> str:
    """How a version is drawn: as everywhere on the page."""
    if past.here:
        return "candidate"
    if past.state == VersionState.BLOCKED:
        return "blocked"
    return "champion" if past.state == VersionState.RELEASED else "earlier"
