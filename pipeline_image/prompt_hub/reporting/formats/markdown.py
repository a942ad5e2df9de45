"""An evaluation as a Markdown summary, short enough to stand under a pull request."""

from __future__ import annotations

from typing import assert_never

from prompt_hub.gate.types import Status
from prompt_hub.reporting import words
from prompt_hub.reporting.answers import Change
from prompt_hub.reporting.evaluation import ArmView, EvaluationView, ExampleView
from prompt_hub.reporting.markdown import code, escaped, table

HELP = "for a pull request"
WORST = 10
"""Losses that are listed."""


def render(view: EvaluationView) -> str:
    """Verdict, scores and reasons; the worst losses folded away."""
    record = view.evaluation.record
    verdict = record.verdict
    title = f"### {_sign(verdict.status)} {record.task} {record.version}"
    lines = [f"{title}: {verdict.status.replace('_', ' ')}", ""]
    if view.arms:
        head = ("version", "score", "interval", "examples", "cost", "latency p95")
        rows = [_row(arm) for arm in view.arms]
        rows.append(["threshold", words.score(record.threshold), "", "", "", ""])
        rows.append(["majority guess", words.score(record.baseline), "", "", "", ""])
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


def _row(arm: ArmView) -> list[str]:
    low, high = arm.arm.interval
    measured = arm.arm.score is not None
    return [
        f"{arm.name} {arm.arm.version}",
        f"**{words.score(arm.arm.score)}**",
        f"{low:.3f} to {high:.3f}" if measured else "",
        f"{arm.arm.n:,}" + (f" × {arm.arm.repeats}" if arm.arm.repeats > 1 else ""),
        words.money(arm.arm.usd),
        words.latency(arm.arm.seconds_p95),
    ]


def _worst(view: EvaluationView) -> list[str]:
    worst = view.worst
    if not worst:
        return []
    head = ["example", "loss", "score"] + (["champion"] if view.champion else [])
    rows = [_loss(example, with_champion=view.champion is not None) for example in worst[:WORST]]
    listed = min(WORST, len(worst))
    what = words.count(len(worst), "loss", "losses")
    summary = what if listed == len(worst) else f"The worst {listed} of {what}"
    return [
        "",
        f"<details><summary>{summary}</summary>",
        "",
        *table(head, rows, len(head) - 2),
        "",
        "</details>",
    ]


def _loss(example: ExampleView, *, with_champion: bool) -> list[str]:
    lost = "; ".join(example.candidate.losses) if example.candidate else ""
    row = [
        code(example.id),
        code(lost) if lost else "",
        words.score(example.candidate.score if example.candidate else None),
    ]
    if with_champion:
        row.append(words.score(example.champion.score if example.champion else None))
    return row
