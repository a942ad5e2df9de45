"""The schemas that others hold answers against, as contracts here are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import Unkept, parsed_yaml, unkept
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.contracts import schema_problems, subschemas
from prompt_hub.repository.schema import JsonObject


def in_todays_draft(schema: JsonObject) -> JsonObject:
    """Return a schema of draft 7 or later, as promptfoo's validator reads it, as one of 2020-12."""
    moved: JsonObject = {
        "$defs" if key == "definitions" else key: value
        for key, value in deepcopy(schema).items()
        if key != "$schema"
    }
    for _, part in subschemas(moved):
        if isinstance(part, dict) and isinstance(reference := part.get("$ref"), str):
            part["$ref"] = re.sub("^#/definitions/", "#/$defs/", reference)
    return moved


def read_schema(value: JsonValue) -> JsonValue:
    """Return a schema, also where it was written as text; as our validator reads it."""
    if isinstance(value, str):
        try:
            value = parsed_yaml(value, "").data
        except PromptHubError:
            return None
    return in_todays_draft(value) if isinstance(value, dict) else value


def why_unusable(schema: JsonValue) -> str | None:
    """Why a JSON Schema cannot be the contract of answers, None where it can."""
    is_object = isinstance(schema, dict) and schema.get("type", "object") == "object"
    if not is_object or not isinstance(schema, dict) or not schema.get("properties"):
        return "an answer here is one JSON object with named fields"
    if wrong := unkept(schema):
        return wrong
    problems = schema_problems({**schema, "type": "object"})
    for item in problems:
        if item.rule in ("schema", "schema-keyword"):
            return f"it is no JSON Schema (it has {item.found} where {item.expected} is expected)"
    return None


def object_schema(
    fields: Mapping[str, JsonValue], required: Iterable[str], *, closed: bool = True
) -> JsonObject:
    """Return the JSON Schema of an object with these fields, and where `closed` no others."""
    return {
        "type": "object",
        # An object that does not say it is sent closed.
        "additionalProperties": not closed,
        "required": [*required],
        "properties": {**fields},
    }


def contract_of(
    answers: Sequence[JsonObject], place: Place, notes: Notes, *, partly: bool = False
) -> JsonObject:
    """Return the contract that right answers keep; `partly` where they say nothing of others.

    It leaves those free then, which is noted.
    """
    if partly:
        why = "the contract leaves them free: write them into the prompt's 'output'"
        notes.lost(place, "the fields of the answer that nothing compares", why)
    names = list(dict.fromkeys(name for answer in answers for name in answer))
    everywhere = [name for name in names if all(name in answer for answer in answers)]
    types = {
        name: {}
        if partly and name not in everywhere
        else type_of([answer[name] for answer in answers if name in answer])
        for name in names
    }
    return object_schema(types, everywhere, closed=not partly)


_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def type_of(values: Sequence[JsonValue]) -> JsonObject:
    """Return the JSON Schema of a field that has these values.

    There is no type where they have several, and where one could not be kept.
    """
    if any(isinstance(value, Unkept) for value in values):
        return {}
    kinds = {_TYPES[type(value)] for value in values}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    return {"type": kinds.pop()} if len(kinds) == 1 else {}


def shape_of_sample(value: JsonValue) -> JsonObject:
    """Return the JSON Schema of a value that stands for others, with those of all that it holds.

    Elements of a list have one where all of them are of one shape, and what is null has none.
    """
    shape = type_of([value])
    if shape and isinstance(value, dict):
        shape["properties"] = {
            name: {} if inner is None else shape_of_sample(inner) for name, inner in value.items()
        }
    if isinstance(value, list) and value:
        first, *others = map(shape_of_sample, value)
        if first and all(other == first for other in others):
            shape["items"] = first
    return shape
