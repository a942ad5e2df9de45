"""What changed in every prompt, version by version, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from prompt_hub.core import wording
from prompt_hub.promotion.states import State
from prompt_hub.reporting import prompt_diff, words
from prompt_hub.reporting.catalogue import CatalogueTask, CatalogueVersion
from prompt_hub.reporting.markdown import code, escaped
from prompt_hub.reporting.pages import day
from prompt_hub.reporting.prompt_diff import Difference

LONGEST_VALUE = 60
"""Characters of a value that is shown before and after; longer texts are counted in words."""


def changelog(tasks: Sequence[CatalogueTask]) -> str:
    """Return the changelog of all tasks, each with its newest version first."""
    lines = ["# What changed in every prompt", ""]
    for task in tasks:
        lines += [f"## {task.name}", "", f"{escaped(task.description)}", ""]
        lines += [f"Owner: {escaped(task.owner)}", ""]
        if not task.versions:
            lines += ["Nothing has been released or refused yet.", ""]
        for version in task.versions:
            lines += [*_version(version), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _version(version: CatalogueVersion) -> Iterator[str]:
    yield f"### {version.version}, {day(version.at)}: {version.state}"
    yield ""
    verdict = f"{version.status.replace('_', ' ')}: " if version.status else ""
    compared, champion = "", version.champion_score
    if champion is not None:
        compared = f", champion {words.score(champion, version.score)}"
    shown = words.score(version.score, version.threshold, champion)
    score = f"score {shown}, threshold {words.score(version.threshold, version.score)}"
    yield f"{verdict}{score}{compared}"
    if version.decision:
        yield f"({escaped(version.decision)})"
    yield ""
    if version.description is None:
        is_open = version.state is State.CANDIDATE
        yield "Its text is kept once it is released." if is_open else "Its text is not kept."
        return
    yield escaped(version.description)
    if version.changes is not None:
        # The description says it itself.
        changes = [change for change in version.changes if change.where != "description"]
        yield ""
        yield f"Changes from {version.before}:" if changes else f"No change from {version.before}."
        yield ""
        yield from (f"- {in_words(change)}" for change in changes)


def in_words(change: Difference) -> str:
    """Say a difference on one line: short values before and after, long texts counted."""
    before = "".join(run.text for run in change.runs if run.kind != "added")
    after = "".join(run.text for run in change.runs if run.kind != "removed")
    where = escaped(change.where)
    if change.where == prompt_diff.SHOTS:
        shots = [(kind, change.lines(kind)) for kind in ("added", "removed")]
        return f"{where}: {', '.join(f'{n} {kind}' for kind, n in shots if n)}"
    if max(len(before), len(after)) > LONGEST_VALUE:
        counts = [
            f"{wording.count(change.words(kind), 'word')} {kind}"
            for kind in ("added", "removed")
            if change.words(kind)
        ]
        return f"{where}: {', '.join(counts) or 'punctuation or spacing'}"
    kind = change.kind
    match kind:
        case "changed":
            if code(before) == code(after):  # both on one line, where spacing is folded
                return f"{where}: spacing"
            return f"{where}: {code(before)} → {code(after)}"
        case "added" | "removed":
            return f"{where}: {code(before or after)} {kind}"
        case _:
            assert_never(kind)
