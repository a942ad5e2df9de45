"""The null of a property that may be left out is its absence.

OpenAI's strict mode knows no property that may be left out, only one that may be null; other
models write null there of their own accord.
"""

from __future__ import annotations

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
    # What one of several branches requires may be left out where another branch is taken.
    certain = _parts(schemas, root, ("allOf",))
    if isinstance(value, list):
        items = tuple(part["items"] for part in parts if "items" in part)
        return [_without(entry, items, root) for entry in value]  # type: ignore[return-value]
    if not isinstance(value, dict):
        return value
    kept: JsonObject = {}
    for name, entry in value.items():
        mine = tuple(part for part in parts if name in properties(part))
        inner = tuple(properties(part)[name] for part in mine)
        optional = mine and not any(name in required(part) for part in certain)
        if entry is None and optional and not any(takes_null(part, root) for part in inner):
            continue
        kept[name] = _without(entry, inner, root)
    return kept  # type: ignore[return-value]


def _parts(
    schemas: tuple[JsonValue, ...], root: JsonObject, joined: tuple[str, ...] = _JOINED
) -> list[JsonObject]:
    """Return schemas and all that they are joined from by the words `joined`, each once."""
    parts: dict[int, JsonObject] = {}
    waiting = list(schemas)
    while waiting:
        schema = resolve(waiting.pop(), root)
        if isinstance(schema, dict) and id(schema) not in parts:
            parts[id(schema)] = schema
            members = (schema.get(word) for word in joined)
            waiting += (member for some in members if isinstance(some, list) for member in some)
    return list(parts.values())
