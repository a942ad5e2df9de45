"""What one arm answered to one example, over all repeats; and which of two arms did better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from statistics import fmean

from prompt_hub.core.json_strict import strict_json
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.llm.answer_text import trimmed, without_fence
from prompt_hub.repository.schema import JsonObject

ALMOST = 1e-9
"""Scores are means of floats: what differs by less is the same."""


class Outcome(StrEnum):
    """How the candidate did on one example."""

    RIGHT = "right"
    WRONG = "wrong"
    UNMEASURED = "unmeasured"


class Change(StrEnum):
    """How the candidate did on one example beside the champion."""

    WON = "won"
    LOST = "lost"
    SAME = "same"


@dataclass(frozen=True)
class Answers:
    """The calls of one arm for one example, in the order of their repeats."""

    calls: tuple[ExampleResult, ...]

    @cached_property
    def score(self) -> float | None:
        """Mean over the repeats; None as soon as one of them could not be measured."""
        scores = [call.score for call in self.calls]
        measured = [value for value in scores if value is not None]
        return fmean(measured) if measured and len(measured) == len(scores) else None

    @property
    def outcome(self) -> Outcome:
        """Right means that nothing at all was lost, in any repeat."""
        if self.score is None:
            return Outcome.UNMEASURED
        return Outcome.RIGHT if self.score >= 1 - ALMOST else Outcome.WRONG

    @property
    def worst(self) -> ExampleResult | None:
        """The answer to look at: of several the worst; None where none came."""
        answered = [call for call in self.calls if call.answer is not None]
        return min(answered, key=lambda call: call.score or 0.0, default=None)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why calls could not be measured, each reason once."""
        return tuple(dict.fromkeys(call.error for call in self.calls if call.error))

    @property
    def losses(self) -> tuple[str, ...]:
        """What was lost, in words, each loss once; names its scorer where there are several."""
        return tuple(dict.fromkeys(loss for call in self.calls for loss in losses(call)))

    @property
    def wrong_fields(self) -> tuple[str, ...]:
        """Output fields that were not fully matched in some repeat."""
        counted = (field for call in self.calls for field in counted_fields(call))
        return tuple(dict.fromkeys(name for name, right in counted if not right))


def losses(call: ExampleResult) -> tuple[str, ...]:
    """Return the losses of one call in words."""
    several = len(call.parts) > 1
    return tuple(
        f"{part.scorer}: {part.loss}" if several else part.loss for part in call.parts if part.loss
    )


def object_in(call: ExampleResult) -> JsonObject | None:
    """Return the JSON object that an answer holds, a fence around it aside; None for none.

    Where its prompt refuses a fence, the loss says so.
    """
    try:
        value = strict_json(without_fence(trimmed(call.answer or "")))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def counted_fields(call: ExampleResult) -> Iterator[tuple[str, bool]]:
    """Yield the output fields that scorers looked at, and whether each was fully matched.

    A scorer that does not compare a field with what was expected, as `regex`, may find it wrong.
    """
    for part in call.parts:
        for name, (matched, given, wanted) in part.fields.items():
            yield name, matched >= max(given, wanted)
        _, _, single = part.scorer.partition(":")
        if single and not part.fields and part.score < 1 - ALMOST:
            yield single, False


def by_example(calls: Iterable[ExampleResult]) -> dict[str, Answers]:
    """Return the calls of one arm by example, in the order in which examples were first asked."""
    grouped: dict[str, list[ExampleResult]] = {}
    for call in calls:
        grouped.setdefault(call.id, []).append(call)
    return {
        name: Answers(tuple(sorted(calls, key=lambda call: call.repeat)))
        for name, calls in grouped.items()
    }


def change(candidate: Answers | None, champion: Answers | None) -> Change | None:
    """Which arm did better on an example; None where one of them was not measured."""
    if candidate is None or champion is None or candidate.score is None or champion.score is None:
        return None
    difference = candidate.score - champion.score
    if abs(difference) <= ALMOST:
        return Change.SAME
    return Change.WON if difference > 0 else Change.LOST
