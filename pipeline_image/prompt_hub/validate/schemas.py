"""What validation asks of JSON Schema. `jsonschema` is imported only when there is work for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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


def is_type(schema: JsonValue, *types: str) -> bool:
    """Whether a property's schema names one of `types`."""
    return isinstance(schema, dict) and schema.get("type") in types


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
