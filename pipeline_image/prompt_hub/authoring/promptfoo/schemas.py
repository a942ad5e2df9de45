"""The schemas that promptfoo holds answers against, as contracts here are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.reading import infinite, parsed_yaml
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.contracts import schema_problems
from prompt_hub.repository.schema import JsonObject

_OLD, _NEW = "definitions", "$defs"


def in_todays_draft(schema: JsonObject) -> JsonObject:
    """Return a schema of draft 7 or later, as promptfoo's validator reads it, as one of 2020-12."""
    moved = _moved(schema)
    return {key: value for key, value in moved.items() if key != "$schema"}


def _moved(schema: JsonObject) -> JsonObject:
    found: JsonObject = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties", _OLD, _NEW) and isinstance(value, dict):
            inner: JsonObject = {name: _inside(item) for name, item in value.items()}
            found[_NEW if key == _OLD else key] = inner
        elif key == "$ref" and isinstance(value, str):
            found[key] = value.replace(f"#/{_OLD}/", f"#/{_NEW}/")
        elif key == "items" and isinstance(value, list):
            found["prefixItems"] = [_inside(item) for item in value]
            if (rest := schema.get("additionalItems")) is not None:
                found["items"] = _inside(rest)
        elif key == "additionalItems":
            continue  # it says nothing beside `items` that is no list
        elif key in ("const", "default", "enum", "examples"):
            found[key] = value
        else:
            found[key] = _inside(value)
    return found


def _inside(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_inside(item) for item in value]
    return _moved(value) if isinstance(value, dict) else value


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
    if any(not reference.startswith("#") for reference in _references(schema)):
        return "it refers to another file or to the network"
    if infinite(schema):
        return "it has a number that is not finite"
    problems = schema_problems({**schema, "type": "object"})
    wrong = next((item for item in problems if item.rule in ("schema", "schema-keyword")), None)
    if wrong is None:
        return None
    return f"it is no JSON Schema (it has {wrong.found} where {wrong.expected} is expected)"


def _references(value: JsonValue) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else ():
        if key == "$ref":
            yield str(item)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _references(item)


def values_of(schema: JsonValue, word: str) -> Iterator[JsonValue]:
    """Yield what a schema says under a word, anywhere in it."""
    if isinstance(schema, dict):
        if not isinstance(schema.get(word), dict | list | None):
            yield schema[word]
        for item in schema.values():
            yield from values_of(item, word)
    elif isinstance(schema, list):
        for item in schema:
            yield from values_of(item, word)


def type_of(values: Sequence[JsonValue]) -> JsonObject:
    """Return the JSON Schema of a field that has these values; no type where they have several."""
    kinds = {_kind(value) for value in values}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    return {"type": kinds.pop()} if len(kinds) == 1 else {}


def _kind(value: JsonValue) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case None:
            return "null"
        case _:
            assert_never(value)
