"""The null of a property that may be left out is its absence.

OpenAI's strict mode knows no property that may be left out, only one that may be null; other
models write null there of their own accord.
"""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from pydantic import JsonValue

from prompt_hub.repository.contracts import properties, required, resolve, schema_problem
from prompt_hub.repository.schema import JsonObject

ValueT = TypeVar("ValueT", bound=JsonValue)
_JOINED = ("allOf", "anyOf", "oneOf")


def takes_null(schema: JsonValue, root: JsonValue, inside: frozenset[int] = frozenset()) -> bool:
    """Say whether null fits `schema`, a part of `root`, as far as that can be seen at a glance.

    `inside` are the schemas that led to this one: nothing fits one that is only itself.
    """
    schema = resolve(schema, root)
    if not isinstance(schema, dict):
        return schema is True
    if id(schema) in inside:
        return False
    inside |= {id(schema)}
    types = schema.get("type", "null")
    if "null" not in (types if isinstance(types, list) else [types]):
        return False
    values = schema.get("enum", [schema["const"]] if "const" in schema else [None])
    if isinstance(values, list) and None not in values:
        return False
    for joined in _JOINED:
        members = schema.get(joined)
        if isinstance(members, list):
            fits = (takes_null(member, root, inside) for member in members)
            if not (all(fits) if joined == "allOf" else any(fits)):
                return False
    return True


def without_nulls(value: JsonObject, schema: JsonObject) -> JsonObject:
    """Leave out what is null in `value`, may be left out and may not be null.

    A value that keeps the schema as it is stays as it is.
    """
    if schema_problem(value, schema) is None:
        return value
    return _without(value, (schema,), schema)


def _without(value: ValueT, schemas: tuple[JsonValue, ...], root: JsonObject) -> ValueT:
    parts = _parts(schemas, root)
    if isinstance(value, list):
        items = tuple(part["items"] for part, _ in parts if "items" in part)
        return [_without(entry, items, root) for entry in value]  # type: ignore[return-value]
    if not isinstance(value, dict):
        return value
    kept: JsonObject = {}
    for name, entry in value.items():
        inner = tuple(properties(part)[name] for part, _ in parts if name in properties(part))
        needed = any(certain and name in required(part) for part, certain in parts)
        optional = inner and not needed
        if entry is None and optional and not any(takes_null(part, root) for part in inner):
            continue
        kept[name] = _without(entry, inner, root)
    return kept  # type: ignore[return-value]


def _parts(schemas: tuple[JsonValue, ...], root: JsonObject) -> list[tuple[JsonObject, bool]]:
    """Return schemas and all that they are joined from, each once, and whether it surely holds.

    What one of several branches says does not: another one may be taken.
    """
    parts: dict[int, tuple[JsonObject, bool]] = {}
    # What surely holds comes first, so that a schema which is a branch elsewhere still counts.
    waiting = deque((schema, True) for schema in schemas)
    while waiting:
        unresolved, certain = waiting.popleft()
        schema = resolve(unresolved, root)
        if not isinstance(schema, dict) or id(schema) in parts:
            continue
        parts[id(schema)] = schema, certain
        for word in _JOINED:
            members = schema.get(word)
            if not isinstance(members, list):
                continue
            if certain and word == "allOf":
                waiting.extendleft((member, True) for member in members)
            else:
                waiting.extend((member, False) for member in members)
    return list(parts.values())
