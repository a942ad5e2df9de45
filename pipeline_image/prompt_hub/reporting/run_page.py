"""The page of a run: a page without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from prompt_hub.reporting import pages, time_series, words
from prompt_hub.reporting.run_model import (
    Action,
    Execution,
    Rollback,
    RunReport,
    Sample,
    Step,
    VersionScore,
)

NARROWEST_BAR = 0.6
"""Per cent of the width: a step that took no time at all can still be seen."""
_CLOUDFORMATION = "CloudFormation"


@dataclass(frozen=True)
class Bar:
    """Where a step stands on the time axis, in per cent of the run."""

    step: Step
    left: float
    width: float


@dataclass(frozen=True)
class ActionRow:
    """A line of an execution: one action, or several of CloudFormation as one."""

    name: str
    actions: tuple[Action, ...]

    @property
    def status(self) -> str:
        """How it ended: as the first that did not succeed."""
        return next((a.status for a in self.actions if a.status != "Succeeded"), "Succeeded")

    @property
    def seconds(self) -> float:
        """How long it took in all."""
        return sum(action.seconds for action in self.actions)

    @property
    def summary(self) -> str:
        """What it said; of several, what the one said that did not succeed."""
        shown = [a for a in self.actions if len(self.actions) == 1 or a.status != "Succeeded"]
        return "\n".join(words.commit_words(action.summary) for action in shown)


def run_page(run: RunReport) -> str:
    """Return the report of `run` as HTML; every value in it is escaped."""
    return pages.page(
        "run.html.j2",
        style="run.css",
        run=run,
        bars=bars(run),
        groups=_by_task(run.versions),
        since=_since_first_moment(run),
        plot=score_plot(run),
        stages=stages,
    )


def bars(run: RunReport) -> list[Bar]:
    """Return the steps as bars on one time axis; each lies inside it, whatever the clocks said."""
    whole = max(run.seconds, *(run.offset(s.started_at) + s.seconds for s in run.steps), 1e-9)
    placed = []
    for step in run.steps:
        left = min(max(100 * run.offset(step.started_at) / whole, 0.0), 100 - NARROWEST_BAR)
        width = max(100 * step.seconds / whole, NARROWEST_BAR)
        placed.append(Bar(step, left, min(width, 100 - left)))
    return placed


def stages(execution: Execution) -> Iterator[tuple[str, list[ActionRow]]]:
    """Yield every stage with its lines; what CloudFormation did in a row is one of them."""
    for stage, actions in groupby(execution.actions, lambda action: action.stage):
        rows = []
        for provider, group in groupby(actions, lambda action: action.provider):
            found = tuple(group)
            if provider == _CLOUDFORMATION and len(found) > 1:
                rows.append(ActionRow(f"{len(found)} actions of CloudFormation", found))
            else:
                rows += [ActionRow(action.action, (action,)) for action in found]
        yield stage, rows


def score_plot(run: RunReport) -> time_series.TimeSeries | None:
    """Return score against threshold around a rollback; None where the run does not know it."""
    rollback = run.rollback
    if rollback is None:
        return None
    samples = sorted(rollback.samples, key=lambda sample: sample.at)
    of_bad = [sample for sample in samples if sample.version == rollback.from_]
    bad = next((sample for sample in of_bad if sample.score < sample.threshold), None)
    if bad is None:
        return None
    happened = [bad.at, *(moment.at for moment in run.timeline)]
    back = next((m.at for m in run.timeline if m.who == "service" and m.at > bad.at), happened[-1])
    known = [*happened, *(sample.at for sample in samples if sample.at > bad.at)]
    first, last = min(happened), max(known)
    room = 0.05 * (last - first)
    axes = time_series.Axes(
        first - room, last + room, [value for s in samples for value in (s.score, s.threshold)]
    )
    scores = list(_scores(rollback, samples, axes.start))
    return time_series.TimeSeries(
        points=tuple(axes.point(score) for score in scores),
        lines=time_series.steps([*_levels(rollback, samples, axes, bad, back)]),
        thresholds=time_series.steps(
            [
                axes.level(axes.start, back, bad.threshold, label=_limit(bad)),
                axes.level(back, axes.end, _newest(samples, rollback.to, bad).threshold),
            ]
        ),
        marks=time_series.marks(axes, (moment.at for moment in run.timeline)),
        summary=time_series.summary(scores),
        start=f"{words.duration((bad.at - axes.start).total_seconds())} before the bad sample",
        end=f"{words.duration((axes.end - bad.at).total_seconds())} after it",
    )


def _scores(
    rollback: Rollback, samples: Sequence[Sample], start: datetime
) -> Iterator[time_series.Score]:
    """Yield what is shown, a label where a version's score is new; of what lies before, the last.

    A sample from before the plot stands at its edge.
    """
    earlier = [s for s in samples if s.at < start and s.version == rollback.from_][-1:]
    said: dict[str, float] = {}
    for sample in (*earlier, *(s for s in samples if s.at >= start)):
        new = said.get(sample.version) != sample.score
        said[sample.version] = sample.score
        yield time_series.Score(
            at=sample.at,
            score=sample.score,
            threshold=sample.threshold,
            kind="candidate" if sample.version == rollback.from_ else "champion",
            label=f"{sample.version}: {words.score(sample.score, sample.threshold)}" if new else "",
        )


def _levels(
    rollback: Rollback,
    samples: Sequence[Sample],
    axes: time_series.Axes,
    bad: Sample,
    back: datetime,
) -> Iterator[time_series.Line]:
    """Yield what was served: well, then badly, then by the version before."""
    good = [s.score for s in samples if s.version == rollback.from_ and s.at < bad.at]
    if good:
        yield axes.level(axes.start, bad.at, good[-1])
    yield axes.level(bad.at, back, bad.score, "bad")
    restored = [s for s in samples if s.version == rollback.to and s.at > back]
    score, since = _newest([s for s in samples if s.at <= back], rollback.to, bad).score, back
    for sample in restored:
        yield axes.level(since, sample.at, score)
        score, since = sample.score, sample.at
    yield axes.level(since, axes.end, score)


def _limit(sample: Sample) -> str:
    return f"threshold {words.score(sample.threshold, sample.score)}"


def _newest(samples: Sequence[Sample], version: str, otherwise: Sample) -> Sample:
    return next((s for s in reversed(samples) if s.version == version), otherwise)


def _by_task(versions: tuple[VersionScore, ...]) -> dict[str, list[VersionScore]]:
    groups: dict[str, list[VersionScore]] = {}
    for version in versions:
        groups.setdefault(version.task, []).append(version)
    return groups


def _since_first_moment(run: RunReport) -> list[str]:
    first = run.timeline[0].at if run.timeline else run.started_at
    return [f"+{(moment.at - first).total_seconds():.1f} s" for moment in run.timeline]
