"""Scorers as metadata names them, and what they say of one answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import JsonValue, TypeAdapter

from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring import (
    ScorerResult,
    build_scorers,
    score_answer,
)
from prompt_hub.scoring.registry import OneOfTheTypes, Scorer

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"kind": {"type": "string"}, "ohms": {"type": "number"}},
    "required": ["kind"],
}

_SCORERS: TypeAdapter[Scorer] = TypeAdapter(Annotated[Scorer, OneOfTheTypes()])


def scorer(kind: str, **options: object) -> Scorer:
    return _SCORERS.validate_python({"type": kind, **options})


def example(weight: float = 1.0, **expected: JsonValue) -> Example:
    return Example(id="e", input={}, expected=expected, weight=weight)


def prompt(**title: JsonValue) -> Prompt:
    """A prompt whose input has a title, declared as the options say."""
    return Prompt.model_validate(
        {
            "schema": "prompt-hub/prompt@1",
            "task": "part",
            "version": "1.0.0",
            "description": "Kind of part.",
            "model": {"alias": "catalogue-pinned"},
            "input": {"type": "object", "properties": {"title": {"type": "string", **title}}},
            "output": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"type": "string", "enum": ["resistor", "capacitor"]},
                    "ohms": {"type": "number"},
                },
            },
            "messages": [
                {"role": "system", "content": "You sort parts."},
                {"role": "user", "content": "{{ title }}"},
            ],
        }
    )


def part(how: Scorer, output: JsonObject | None, expected: JsonObject) -> ScorerResult:
    (result,) = score_answer(build_scorers([how], SCHEMA), output, example(**expected))
    return result


EACH = [
    scorer("exact"),
    scorer("exact", field="kind"),
    scorer("text", field="kind", similarity=0.3),
    scorer("number", field="ohms", tolerance=1),
    scorer("regex", field="kind", pattern=".*"),
    scorer("json_schema"),
    scorer("json_fields"),
    scorer("json_fields", fields={"kind": 1, "tags": {"list": "set"}}),
    scorer("set_f1", field="tags"),
]
