"""What validation asks of JSON Schema. `jsonschema` is imported only when there is work for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from pydantic import JsonValue

from prompt_hub.prompts.documents import Location
from prompt_hub.prompts.hashing import canonical
from prompt_hub.prompts.models import JsonObject

SHORT = 160
"""Characters of a message by jsonschema that are shown: it quotes whole values."""


def properties(schema: JsonObject) -> JsonObject:
    """The declared properties of an object schema, by name."""
    declared = schema.get("properties")
    return declared if isinstance(declared, dict) else {}


def required(schema: JsonObject) -> frozenset[str]:
    """Names of the properties that must be given."""
    names = schema.get("required")
    return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()


def schema_at(schema: JsonObject, path: Sequence[str]) -> JsonValue:
    """The schema of the value at `path`, through lists to their items; None where there is none.

    An empty schema where the schema does not say: it allows anything, or is put together of parts.
    """
    here: JsonValue = schema
    for step in path:
        here = _items(_resolved(here, schema), schema)
        if not isinstance(here, dict):
            return None
        if "properties" not in here and {"anyOf", "oneOf", "allOf", "$ref"} & here.keys():
            return {}
        declared = properties(here)
        if step not in declared:
            is_open = here.get("type", "object") == "object" and "properties" not in here
            return {} if is_open else None
        here = declared[step]
    return _resolved(here, schema)


def _items(schema: JsonValue, whole: JsonObject) -> JsonValue:
    while isinstance(schema, dict) and may_be(schema, "array") and "items" in schema:
        schema = _resolved(schema["items"], whole)
    return schema


def _resolved(schema: JsonValue, whole: JsonObject) -> JsonValue:
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(reference, str):
        return schema
    found: JsonValue = whole
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and "$ref" not in found else {}


def may_be(schema: JsonValue, *types: str) -> bool:
    """Whether a value of the schema may be of one of `types`; so it may where it names none."""
    named = schema.get("type") if isinstance(schema, dict) else None
    if named is None:
        return True
    return bool(set(named if isinstance(named, list) else [named]) & set(types))


def schema_problems(schema: JsonObject) -> tuple[tuple[Location, str, str], ...]:
    """`(location, found, expected)` for everything that keeps `schema` from being usable."""
    return _schema_problems(canonical(schema))


@lru_cache(maxsize=256)
def _schema_problems(text: bytes) -> tuple[tuple[Location, str, str], ...]:
    # Several rules ask about the same schema, and the metaschema is slow.
    return tuple(_find_problems(json.loads(text)))


def _find_problems(schema: JsonObject) -> Iterator[tuple[Location, str, str]]:
    from jsonschema import Draft202012Validator

    metaschema = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    broken = False
    for error in metaschema.iter_errors(schema):
        broken = True
        yield tuple(error.absolute_path), _shortened(error.message), "a valid JSON Schema"
    if broken:
        return
    if schema.get("type") != "object":
        yield ("type",), repr(schema.get("type")), "'object'"
    yield from _unusable(schema, ())


def _unusable(node: JsonValue, location: Location) -> Iterator[tuple[Location, str, str]]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _unusable(item, (*location, index))
    elif isinstance(node, dict):
        reference, pattern = node.get("$ref"), node.get("pattern")
        # A reference elsewhere would be fetched: validation must not depend on a network.
        if isinstance(reference, str) and not reference.startswith("#"):
            yield (*location, "$ref"), repr(reference), "a reference inside this schema ('#/...')"
        if isinstance(pattern, str):
            try:
                re.compile(pattern)
            except re.error as error:
                yield (*location, "pattern"), f"{pattern!r}: {error}", "a regular expression"
        for name, value in node.items():
            yield from _unusable(value, (*location, name))


def misfits(value: JsonValue, schema: JsonObject) -> Iterator[tuple[Location, str]]:
    """Yield `(location, message)` for every way in which `value` breaks a usable schema."""
    from jsonschema import Draft202012Validator
    from referencing.exceptions import Unresolvable

    try:
        for error in Draft202012Validator(schema).iter_errors(value):
            yield tuple(error.absolute_path), _shortened(error.message)
    except Unresolvable as error:
        yield (), f"the schema refers to something it does not have ({error})"
    except RecursionError:
        yield (), "the schema refers to itself without end"


def _shortened(message: str) -> str:
    return message if len(message) <= SHORT else message[: SHORT - 3] + "..."
