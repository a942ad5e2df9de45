"""What the checks of a pull request say about its prompts: verdicts, power, cost, prompt diffs.

GitHub takes 65,536 characters of a comment. What would make it longer is left out, and said to be.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prompt_hub.core import wording
from prompt_hub.evaluation.budget import UNPRICED
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.gate.types import Status
from prompt_hub.reporting import words
from prompt_hub.reporting.diff_words import difference_lines
from prompt_hub.reporting.evaluation import EvaluationView, read_view
from prompt_hub.reporting.formats import markdown
from prompt_hub.reporting.markdown import fenced
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.scoring.registry import sort_scorers

_BROKEN_OFF = (
    "The evaluation broke off, and the log of its job says why: what is not listed here was not"
    " evaluated."
)
LONGEST = 40_000
"""Characters of all tasks together: permissions stand in the same comment."""
LONGEST_LIST = 4_000
"""Characters of the verdicts that have no room for more than a line; the rest is counted."""
LONGEST_DIFF = 8_000
"""Characters of one prompt's differences."""


def evaluated(evaluations: Evaluations) -> Iterator[EvaluationView]:
    """Yield what this execution has evaluated, task by task."""
    for task in evaluations.repository.tasks():
        found = evaluations.recent(task)
        if found is not None:
            yield read_view(evaluations, found)


def pull_request_summary(views: Iterable[EvaluationView], *, broken_off: bool = False) -> str:
    """Return the summary as Markdown; of an evaluation that was `broken_off` it says so."""
    sections: list[str] = []
    left_out: list[EvaluationRecord] = []
    cost = _Cost()
    length = 0
    for view in views:
        cost.add(view)
        section = _section(view)
        if length + len(section) <= LONGEST:
            sections.append(section)
            length += len(section)
        else:
            left_out.append(view.evaluation.record)
    if not sections and not left_out and not broken_off:
        return "## Prompts\n\nNo task was evaluated: none has changed.\n"
    lines = ["## Prompts", ""]
    if broken_off:
        lines += [_BROKEN_OFF, ""]
    if sections or left_out:
        lines += [cost.in_words(), ""]
    lines += sections
    if left_out:
        lines += ["Too long to be shown here:", "", *_listed(left_out)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _listed(records: Iterable[EvaluationRecord]) -> Iterator[str]:
    """Yield a line for each verdict, what is no pass first; what has no room is counted."""
    length = 0
    rest: Counter[str] = Counter()
    for record in sorted(records, key=lambda record: record.verdict.status is Status.PASS):
        line = f"- {record.task} {record.version}: {record.verdict.status}"
        length += len(line) + 1
        if length <= LONGEST_LIST:
            yield line
        else:
            rest[record.verdict.status] += 1
    if rest:
        counted = ", ".join(f"{count} {status}" for status, count in rest.items())
        yield f"- … and {rest.total()} more: {counted}"


class _Cost:
    """What the evaluations have cost, and what was known before and so cost nothing."""

    def __init__(self) -> None:
        self._usd: list[float] = []
        self._unknown = 0
        self._remembered = 0
        self._tasks = 0
        self._asked_more = False
        """Whether judges or attacks were asked, too: no record counts what these calls cost."""

    def add(self, view: EvaluationView) -> None:
        self._tasks += 1
        if view.evaluation.record.remembered:
            self._remembered += 1
            return
        self._asked_more = self._asked_more or _asks_more(view)
        for arm in view.arms:
            if arm.arm.usd_paid is not None:
                self._usd.append(arm.arm.usd_paid)
            elif arm.arm.tokens_in or arm.arm.tokens_out:
                # Without an answer there is no cost either, whatever the price.
                self._unknown += 1

    def in_words(self) -> str:
        # A judge that fails leaves its calls, and those of the answers it was to grade, uncounted.
        uncounted = self._unknown or self._asked_more
        known = words.money(math.fsum(self._usd)) if self._usd or not uncounted else "unknown"
        text = f"{wording.count(self._tasks, 'task')} changed. Cost of the model calls: {known}"
        if self._usd and self._unknown:
            text += UNPRICED
        if self._asked_more and self._usd:
            text += ", and that of judges and attacks, which no record counts"
        if self._remembered:
            text += f"; {wording.count(self._remembered, 'verdict')} remembered, without a call"
        return f"{text}."


def _asks_more(view: EvaluationView) -> bool:
    """Whether more was asked than each version about each example."""
    attacked = view.metadata is not None and bool(sort_scorers(view.metadata.scorers).injections)
    return bool(view.arms) and (view.evaluation.record.judge is not None or attacked)


def _section(view: EvaluationView) -> str:
    """Return one task: its summary, and what its prompt says otherwise than the released one."""
    return "\n".join([markdown.render(view).rstrip("\n"), *_remembered(view), *_diff(view), ""])


def _remembered(view: EvaluationView) -> list[str]:
    return (
        ["", "Remembered: the same inputs were judged before."]
        if view.evaluation.record.remembered
        else []
    )


def _diff(view: EvaluationView) -> Sequence[str]:
    if not view.changes:
        return []
    blocks = ["\n".join(difference_lines(difference)) for difference in view.changes]
    text = "\n\n".join(blocks)
    if len(text) > LONGEST_DIFF:
        text = f"{text[:LONGEST_DIFF]}\n… (prompt-hub diff shows the rest)"
    places = wording.count(len(view.changes), "place")
    summary = f"<details><summary>The prompt differs in {places}</summary>"
    return ["", summary, "", *fenced(text), "", "</details>"]
