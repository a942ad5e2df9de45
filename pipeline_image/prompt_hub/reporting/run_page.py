"""The page of a run: a page without scripts."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_hub.reporting import pages
from prompt_hub.reporting.run_model import RunReport, Step, VersionScore

NARROWEST_BAR = 0.6
"""Per cent of the width: a step that took no time at all can still be seen."""


@dataclass(frozen=True)
class Bar:
    """Where a step stands on the time axis, in per cent of the run."""

    step: Step
    left: float
    width: float


def run_page(run: RunReport) -> str:
    """Return the report of `run` as HTML; every value in it is escaped."""
    return pages.page(
        "run.html.j2",
        style="run.css",
        run=run,
        bars=bars(run),
        groups=_by_task(run.versions),
        since=_since_first_moment(run),
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


def _by_task(versions: tuple[VersionScore, ...]) -> dict[str, list[VersionScore]]:
    groups: dict[str, list[VersionScore]] = {}
    for version in versions:
        groups.setdefault(version.task, []).append(version)
    return groups


def _since_first_moment(run: RunReport) -> list[str]:
    first = run.timeline[0].at if run.timeline else run.started_at
    return [f"+{(moment.at - first).total_seconds():.1f} s" for moment in run.timeline]
