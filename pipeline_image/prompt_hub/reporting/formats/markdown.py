"""An evaluation as a Markdown summary, short enough to stand under a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from prompt_hub.gate.types import Status
from prompt_hub.reporting import words
from prompt_hub.reporting.answers import Change
from prompt_hub.reporting.evaluation import ArmView, EvaluationView, ExampleView
from prompt_hub.reporting.markdown import code, escaped, table
from prompt_hub.reporting.plain_words import lead
from prompt_hub.reporting.rows import row_of

HELP = "for a pull request"
WORST = 10
"""Losses that are listed."""
_CELL = 80
"""Characters of what was asked, expected or answered; a row with all of them is read at once."""


def render(view: EvaluationView) -> str:
    """Verdict, scores and reasons; the worst losses folded away."""
    record = view.evaluation.record
    verdict = record.verdict
    title = f"### {_sign(verdict.status)} {record.task} {record.version}"
    lines = [f"{title}: {verdict.status.replace('_', ' ')}", ""]
    if sentence := lead(view):
        lines += [sentence, ""]
    if view.arms:
        head = ("version", "score", "interval", "examples", "cost", "latency p95")
        scores = [record.threshold, record.baseline, *(arm.arm.score for arm in view.arms)]
        rows = [_row(arm, scores) for arm in view.arms]
        rows.append(["threshold", words.score(record.threshold, *scores), "", "", "", ""])
        rows.append(["majority guess", words.score(record.baseline, *scores), "", "", "", ""])
        lines += [*table(head, rows, 5), ""]
    lines += [f"- {escaped(reason)}" for reason in words.reasons(record)]
    if verdict.overridden_by:
        lines.append(f"- overridden by {escaped(verdict.overridden_by)}")
    if view.compared:
        lines.append(
            f"- example by example: {view.compared[Change.WON]:,} won,"
            f" {view.compared[Change.LOST]:,} lost, {view.compared[Change.SAME]:,} the same"
        )
    lines += [f"- note: {note}" for note in view.notes]
    lines += _worst(view)
    return "\n".join(lines).rstrip("\n") + "\n"


def _sign(status: Status) -> str:
    match status:
        case Status.PASS:
            return "✅"
        case Status.BLOCK:
            return "❌"
        case Status.INCONCLUSIVE:
            return "❔"
        case Status.NOT_MEASURED:
            return "⚠️"
        case Status.UNCHANGED:
            return "➖"
        case _:
            assert_never(status)


def _row(arm: ArmView, scores: Sequence[float | None]) -> list[str]:
    low, high = arm.arm.interval
    measured = arm.arm.score is not None
    return [
        f"{arm.name} {arm.arm.version}",
        f"**{words.score(arm.arm.score, *scores)}**",
        f"{low:.3f} to {high:.3f}" if measured else "",
        f"{arm.arm.n:,}" + (f" × {arm.arm.repeats}" if arm.arm.repeats > 1 else ""),
        words.money(arm.arm.usd_paid),
        words.latency(arm.arm.seconds_p95),
    ]


def _worst(view: EvaluationView) -> list[str]:
    worst = view.worst
    if not worst:
        return []
    head = ["example", "input", "expected", *(arm.name for arm in view.arms)]
    head += ["score"] + (["champion's score"] if view.champion else [])
    rows = [_loss(example, with_champion=view.champion is not None) for example in worst[:WORST]]
    listed = min(WORST, len(worst))
    what = words.short_of_full(len(worst))
    summary = what if listed == len(worst) else f"The worst {listed} of {what}"
    return [
        "",
        f"<details><summary>{summary}</summary>",
        "",
        *table(head, rows, len(view.arms)),
        "",
        "</details>",
    ]


def _loss(example: ExampleView, *, with_champion: bool) -> list[str]:
    arms = [example.candidate, *([example.champion] if with_champion else [])]
    row = row_of(example.example, *arms)
    texts = (row.input, row.expected, *row.answers)
    scores = [arm.score if arm else None for arm in arms]
    return [
        code(example.id),
        *(code(text, _CELL) for text in texts),
        *(words.score(score, *scores) for score in scores),
    ]
