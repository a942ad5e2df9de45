"""What an evaluation came to, in one sentence that needs no statistics."""

from __future__ import annotations

from prompt_hub.core.wording import count
from prompt_hub.reporting.answers import Change, Outcome
from prompt_hub.reporting.evaluation import EvaluationView


def lead(view: EvaluationView) -> str:
    """Return the sentence that stands before the statistics.

    Empty where nothing was asked, or its answers are too many to be read.
    """
    if view.candidate is None or not view.examples:
        return ""
    examples = len(view.examples)
    if missing := _unmeasured(view):
        return f"{_of(missing, examples)} could not be measured."
    if view.champion is None:
        right = view.outcomes[Outcome.RIGHT]
        return f"{_of(right, examples)} {'is' if right == 1 else 'are'} entirely right."
    worse, better = view.compared[Change.LOST], view.compared[Change.WON]
    version = view.champion.arm.version
    if not worse and not better:
        return f"No example scores otherwise than with {version}."
    # What there is more of is what the version did.
    (most, first), (rest, second) = sorted([(worse, "worse"), (better, "better")], reverse=True)
    other = f"{rest:,} got {second}" if rest else f"none got {second}"
    return f"{_of(most, view.compared.total())} got {first} than with {version}, {other}."


def _unmeasured(view: EvaluationView) -> int:
    """How many examples lack a score of a version: what has only one's cannot be compared."""
    if view.champion is None:
        return view.outcomes[Outcome.UNMEASURED]
    return sum(example.change is None for example in view.examples)


def _of(some: int, examples: int) -> str:
    return f"{some:,} of {count(examples, 'example')}"
