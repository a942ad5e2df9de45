"""Whether an output has a field, and whether a comparison suits it, read off its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from pydantic import JsonValue

from prompt_hub.core.json_strict import MAX_DEPTH
from prompt_hub.repository.contracts import properties, resolve
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.scoring.base import Complaint
from prompt_hub.scoring.comparison import Comparison


def compared_types(how: Comparison) -> tuple[str, ...]:
    """Types that a comparison can be right about; every type where there are none."""
    match how.compare:
        case "number":
            return ("number", "integer")
        case "quantity":
            return ("string", "number", "integer")
        case "part_number":
            return ("string",)
        case "text" | "exact":
            return ("string",) if how.similarity is not None else ()
        case _:
            assert_never(how.compare)


def field_complaints(
    prompt: Prompt, name: str, location: Location, *types: str, lists: str = ""
) -> Iterator[Complaint]:
    """Say what keeps a field of the output from being compared.

    Args:
        prompt: the prompt whose output is scored.
        name: path of the field.
        location: where the scorer names it.
        types: JSON types of which the field must be one; any where none is given.
        lists: how lists are compared, empty where the scorer does not compare them.
    """
    path = name.split(".")
    schema = _schema_at(prompt.output, path)
    if schema is None:
        outputs = properties(prompt.output)
        known = f"a property of the output: {', '.join(outputs) or 'it has none'}"
        yield location, repr(name), known
        return
    if lists:
        is_list = may_be(schema, "array") or _through_a_list(prompt, path)
        if lists == "set" and not is_list:
            yield location, f"{name!r}, which is no list in the output", "a list, or no set"
            return
        if may_be(schema, "array") and isinstance(schema, dict):
            schema = schema.get("items", {}) if schema.get("type") else {}
    if types and not may_be(schema, *types):
        kinds = {"string": "text", "number": "number"}
        kind = " or ".join(kinds[name] for name in types if name in kinds)
        yield location, f"{name!r}, which is no {kind} in the output", " or ".join(types)


def list_complaint(prompt: Prompt, name: str, location: Location) -> Iterator[Complaint]:
    """Say that a path leads through a list of the output, for who looks at a single value.

    A list that a schema does not declare by its type is not seen.
    """
    path = name.split(".")
    for end in range(1, len(path)):
        schema = _schema_at(prompt.output, path[:end])
        if isinstance(schema, dict) and "type" in schema and may_be(schema, "array"):
            found = f"{name!r}, which leads through the list {'.'.join(path[:end])!r}"
            yield location, found, "a single value"
            return


def dotted_names(output: JsonObject) -> Iterator[str]:
    """Yield the properties of an output that no path leads to, as their names have dots."""
    waiting: list[JsonValue] = [output]
    seen = set[int]()
    while waiting:
        schema = _resolved(waiting.pop(), output)
        if isinstance(schema, dict) and id(schema) not in seen:
            seen.add(id(schema))
            declared = properties(schema)
            yield from (name for name in declared if "." in name)
            waiting += declared.values()


def _through_a_list(prompt: Prompt, path: list[str]) -> bool:
    return any(
        may_be(_schema_at(prompt.output, path[:end]), "array") for end in range(1, len(path))
    )


# --- Schemas along a path -----------------------------------------------------------------------


def _schema_at(schema: JsonObject, path: Sequence[str]) -> JsonValue:
    """Return the schema of the value at `path`, through lists to their items; None where none is.

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


_COMBINING = frozenset(("$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"))


def undeclared(value: JsonObject, output: JsonObject) -> Iterator[tuple[str, ...]]:
    """Yield the paths of values that a schema does not name, though it need not forbid them.

    Who says which other names there may be, or puts a schema together of parts, is not judged.
    """
    return _undeclared(value, output, output, ())


def _undeclared(
    value: JsonValue, schema: JsonValue, root: JsonObject, path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    here = _object(schema, root)
    if isinstance(value, list):
        for item in value:
            yield from _undeclared(item, here.get("items"), root, path)
    declared = properties(here)
    if not isinstance(value, dict) or not declared:
        return
    others = here.get("additionalProperties", False) is not False or "patternProperties" in here
    for name, item in value.items():
        if name in declared:
            yield from _undeclared(item, declared[name], root, (*path, name))
        elif item is not None and item != [] and not others and not _COMBINING & here.keys():
            yield (*path, name)


def object_at(output: JsonObject, location: Location) -> JsonObject:
    """Return the schema of the object at a location of an answer; empty where that is in doubt."""
    here: JsonValue = output
    for step in location:
        found = _object(here, output)
        here = properties(found).get(step) if isinstance(step, str) else found.get("items")
    return _object(here, output)


def _object(schema: JsonValue, root: JsonObject) -> JsonObject:
    """Return a schema, or the one choice that it leaves beside null; empty where there are more."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict):
            break
        choices = schema.get("anyOf", schema.get("oneOf"))
        if "properties" in schema or not ("$ref" in schema or isinstance(choices, list)):
            return schema
        if "$ref" in schema:
            schema = resolve(schema, root)
        elif isinstance(choices, list):
            others = [choice for choice in choices if choice != {"type": "null"}]
            schema = others[0] if len(others) == 1 else None
    return {}


def _items(schema: JsonValue, whole: JsonObject) -> JsonValue:
    for _ in range(MAX_DEPTH):
        if not (isinstance(schema, dict) and may_be(schema, "array") and "items" in schema):
            return schema
        schema = _resolved(schema["items"], whole)
    return {}  # a list of itself, without end


def _resolved(schema: JsonValue, whole: JsonObject) -> JsonValue:
    found = resolve(schema, whole)
    return {} if found is None else found


def may_be(schema: JsonValue, *types: str) -> bool:
    """Whether a value of the schema may be of one of `types`; so it may where it names none."""
    named = schema.get("type") if isinstance(schema, dict) else None
    if named is None:
        return True
    return bool(set(named if isinstance(named, list) else [named]) & set(types))
