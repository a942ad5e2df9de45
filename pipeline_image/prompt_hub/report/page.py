"""The report page: one HTML file without scripts that asks no network for anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from prompt_hub.report.model import RunReport, Step, VersionScore

LONGEST_TEXT = 8_000
"""Characters of one detail that are shown; a page that takes seconds to open helps nobody."""
NARROWEST_BAR = 0.6
"""Per cent of the width: a step that took no time at all can still be seen."""

_RED = {"failed", "stopped", "block", "not_measured", "quarantined"}
_AMBER = {"expected-red", "inconclusive", "downgraded", "superseded", "inprogress"}
_GREEN = {"ok", "succeeded", "pass", "active"}


@dataclass(frozen=True)
class Bar:
    """Where a step stands on the time axis, in per cent of the run."""

    step: Step
    left: float
    width: float


def page(run: RunReport) -> str:
    """The report of `run` as HTML; every value in it is escaped."""
    return _template().render(
        run=run, bars=bars(run), groups=_by_task(run.versions), since=_since_first_moment(run)
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "score": score,
        "tone": tone,
        "clock": lambda at: f"{at:%H:%M:%S}",
        "short": _short,
        "pct": lambda fraction: f"{100 * fraction:.2f}",
    }
    return environment.get_template("run.html.j2")


def bars(run: RunReport) -> list[Bar]:
    """The steps as bars on one time axis; each lies inside it, whatever the clocks said."""
    whole = max(run.seconds, *(run.offset(s.started_at) + s.seconds for s in run.steps), 1e-9)
    placed = []
    for step in run.steps:
        left = min(max(100 * run.offset(step.started_at) / whole, 0.0), 100 - NARROWEST_BAR)
        width = max(100 * step.seconds / whole, NARROWEST_BAR)
        placed.append(Bar(step, left, min(width, 100 - left)))
    return placed


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.4 s`, `12.3 s`, `4 min 05 s`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def score(value: float | None) -> str:
    """A score with three digits, or a dash where nothing was measured."""
    return "–" if value is None else f"{value:.3f}"


def tone(status: str) -> str:
    """The CSS class that says whether a status is good news."""
    word = status.lower()
    for name, words in (("good", _GREEN), ("bad", _RED), ("warn", _AMBER)):
        if word in words:
            return name
    return "plain"


def _short(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}\n… and {len(text) - LONGEST_TEXT} more characters"


def _by_task(versions: tuple[VersionScore, ...]) -> dict[str, list[VersionScore]]:
    groups: dict[str, list[VersionScore]] = {}
    for version in versions:
        groups.setdefault(version.task, []).append(version)
    return groups


def _since_first_moment(run: RunReport) -> list[str]:
    first = run.timeline[0].at if run.timeline else run.started_at
    return [f"+{(moment.at - first).total_seconds():.1f} s" for moment in run.timeline]
