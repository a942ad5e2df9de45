"""`judge`: a meta-prompt grades the answer; `evaluation/judge.py` asks it.

The judge's prompt takes the strings `input`, `expected` and `answer`, and answers with an integer
`grade` whose bounds its output schema states, and optionally a `reason`.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from prompt_hub.repository.contract_words import expected_of
from prompt_hub.repository.contracts import properties, required, resolve
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.scoring.base import TYPE, WHOLE, Complaint, RuleContext, ScorerSettings, scorer_type
from prompt_hub.scoring.field_rules import may_be

INPUTS = ("input", "expected", "answer")
"""What a judge is told, as JSON texts."""


@scorer_type(right="what a calibrated meta-prompt calls right", calls="`votes`, or 1", place=80)
class JudgeSettings(ScorerSettings):
    """A meta-prompt grades the answer: the judge that the metadata names."""

    type: Annotated[Literal["judge"], TYPE]

    @property
    def whole(self) -> Set[str]:
        """All of them: nobody knows at which fields it looks."""
        return WHOLE

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether nobody named a judge."""
        if not context.has_judge:
            expected = "judge: {task: ..., version: ...} in the metadata"
            yield (), "a judge that nobody named", expected


def grade_bounds(output: JsonObject) -> tuple[int, int] | None:
    """Bounds of the integer `grade` in an output schema, None where it has no such grade."""
    grade = properties(output).get("grade")
    if isinstance(grade, dict) and grade.get("type") == "integer":
        low, high = grade.get("minimum"), grade.get("maximum")
        if isinstance(low, int) and isinstance(high, int) and low < high:
            return low, high
    return None


def inputs_of_other_types(judge: Prompt) -> Iterator[str]:
    """Say which inputs of a judge cannot be the texts that an evaluation gives it."""
    declared = properties(judge.input)
    for name in INPUTS:
        schema = resolve(declared.get(name), judge.input)
        if isinstance(schema, dict) and not may_be(schema, "string"):
            yield f"whose input {name!r} is {expected_of('type', schema['type'])}"


def contract_complaints(judge: Prompt) -> Iterator[tuple[str, str]]:
    """Say what keeps a prompt from being a judge: what was found in it, what is expected."""
    name = f"{judge.task} {judge.version}"
    other = sorted(required(judge.input) - set(INPUTS))
    if other:
        yield (
            f"{name}, which needs the input {', '.join(other)}",
            f"no more than {', '.join(INPUTS)}",
        )
    for reason in inputs_of_other_types(judge):
        yield f"{name}, {reason}", "a text (JSON as text)"
    if grade_bounds(judge.output) is None:
        found = f"{name}, which answers no integer 'grade' with minimum and maximum"
        yield found, "such a grade"
