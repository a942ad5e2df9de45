"""What pydantic found wrong with a file, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from prompt_hub.repository.documents import Document, Problem, closest
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.model_words import (
    CHOICE,
    expected_words,
    follows_from_others,
    found_words,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
_KEY_MARK = "[key]"
"""How pydantic marks that the key of a mapping is wrong, not its value."""


def model_problems(document: Document, model: type, error: ValidationError) -> Iterator[Problem]:
    """Every problem in `error`, in words, with its place in the document."""
    found: dict[tuple[str, str], Problem] = {}
    for problem in _problems(document, model, error):
        # What may be of one type or another is refused by each of them.
        same = (problem.field, problem.found)
        before = found.get(same)
        if before is None or before.expected == problem.expected:
            found.setdefault(same, problem)
        else:
            expected = f"{before.expected} or {problem.expected}"
            found[same] = replace(before, expected=expected)
    yield from found.values()


def _problems(document: Document, model: type, error: ValidationError) -> Iterator[Problem]:
    items = error.errors(include_url=False)
    misspelt = {place for item in items for place in _meant(document, model, item)}
    for item in items:
        if follows_from_others(item):
            continue
        path = tuple(item["loc"])
        location = _in_file(document, path)
        kind = item["type"]
        if kind == "missing" and location in misspelt:
            # It is there, under another name: that line says so.
            continue
        if kind in {"union_tag_invalid", "union_tag_not_found"}:
            tags = CHOICE.findall(str(item.get("ctx", {}).get("expected_tags", "")))
            tag = item.get("ctx", {}).get("tag")
            yield document.problem(
                (*location, "type"),
                "nothing" if tag is None else repr(tag),
                f"one of: {', '.join(tags)}" if tags else "this field",
                rule="value" if tag is not None else "missing-key",
                suggestion=closest(str(tag), tags) if tag is not None else "",
            )
        elif kind == "missing":
            yield document.problem(location, "nothing", "this field", rule="missing-key")
        elif kind in _UNKNOWN_KEY:
            known = _keys_at(model, path[:-1])
            yield document.key_problem(
                location,
                f"the key {location[-1]!r}",
                f"one of: {', '.join(known)}" if known else "no such key",
                rule="unknown-key",
                suggestion=closest(str(location[-1]), known),
            )
        elif location and location[-1] == _KEY_MARK:
            choices = CHOICE.findall(item["msg"]) if "literal" in kind else []
            yield document.key_problem(
                location[:-1],
                f"the key {location[-2]!r}",
                f"one of: {', '.join(choices)}" if choices else expected_words(item, {}),
                rule="unknown-key",
                suggestion=closest(str(location[-2]), choices),
            )
        else:
            choices = CHOICE.findall(item["msg"]) if kind in {"literal_error", "enum"} else []
            meant = closest(item["input"], choices) if isinstance(item["input"], str) else ""
            real = _real(document, location)
            # A member of a union is a step for pydantic, and none in the schema.
            place = path if real == location else path[:-1]
            yield document.problem(
                real,
                _found(document, item["input"]),
                expected_words(item, schema_at(model, place)),
                rule="value",
                suggestion=meant,
            )


def _meant(document: Document, model: type, item: ErrorDetails) -> Iterator[Location]:
    """Yield the place of the key that an unknown one is most likely meant to be."""
    if item["type"] in _UNKNOWN_KEY:
        path = tuple(item["loc"])
        *inside, written = _in_file(document, path)
        if known := closest(str(written), _keys_at(model, path[:-1])):
            yield (*inside, known)


def _in_file(document: Document, location: Location) -> Location:
    """Take out of a location what pydantic adds: the `type` of one model of many, tags of JSON."""
    found: list[str | int] = []
    value = document.data
    for step in location:
        if isinstance(value, Mapping):
            if step not in value and step in (value.get("type"), "dict"):
                continue
            value = value.get(step)
        elif isinstance(value, list) and step == "list":
            continue
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            value = None
        found.append(step)
    return tuple(found)


def _real(document: Document, location: Location) -> Location:
    """Return a location without the union members that pydantic tells behind it."""
    data = document.data
    for depth, step in enumerate(location):
        inside = isinstance(data, Mapping) and step in data
        if not inside and not (isinstance(data, list) and isinstance(step, int)):
            return location[:depth] if isinstance(step, str) else location
        data = data[step]  # type: ignore[index]
    return location


def _found(document: Document, value: object) -> str:
    """Return the value that was refused; a file without any has no place for one either."""
    if document.data is None and () not in document.positions:
        return "an empty file"
    return found_words(value)


def _keys_at(model: type, location: Location) -> list[str]:
    """Return the keys that a model knows at a place inside it, as files spell them."""
    properties = schema_at(model, location).get("properties")
    return list(properties) if isinstance(properties, dict) else []


def schema_at(model: type, location: Location) -> Mapping[str, object]:
    """Find the JSON Schema of a place inside a model; empty where the model has no such place."""
    schema = json_schema(model)
    node: object = schema
    for step in location:
        node = _step(schema, node, step)
    found = _resolved(schema, node)
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=16)
def json_schema(model: type) -> dict[str, object]:
    """Return the JSON Schema of a file's model."""
    schema: dict[str, object] = TypeAdapter(model).json_schema(by_alias=True)
    return schema


def _resolved(schema: Mapping[str, object], node: object) -> object:
    """Return a schema node with its reference followed, and of several alternatives the object."""
    if isinstance(node, dict):
        alternatives = node.get("anyOf")
        if isinstance(alternatives, list):
            node = next(
                (alternative for alternative in alternatives if alternative.get("type") != "null"),
                node,
            )
        reference = node.get("$ref")
        definitions = schema.get("$defs")
        if isinstance(reference, str) and isinstance(definitions, dict):
            return definitions.get(reference.rpartition("/")[2])
    return node


def _step(schema: Mapping[str, object], node: object, step: str | int) -> object:
    node = _resolved(schema, node)
    if not isinstance(node, dict):
        return None
    if isinstance(step, int):
        return node.get("items")
    tags = node.get("discriminator")
    if isinstance(tags, dict) and step in tags.get("mapping", {}):
        return {"$ref": tags["mapping"][step]}
    properties = node.get("properties")
    if isinstance(properties, dict) and step in properties:
        return properties[step]
    return node.get("additionalProperties")
