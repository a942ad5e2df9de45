"""Raw records name their columns as they like; the metadata says which input field each one is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.contracts import properties, required
from prompt_hub.repository.schema import JsonObject


class RecordError(ValueError):
    """A record, or the header above all of them, cannot be turned into fields."""


def normalise(column: str) -> str:
    """Return a column's name without case and white space: `Part  No` and `partno` are the same."""
    return "".join(column.casefold().split())


def assign(
    header: Sequence[str], columns: Mapping[str, Sequence[str]], schema: JsonObject
) -> dict[str, int]:
    """Which column holds each input field: field → index into `header`.

    A field answers to its own name and to the names in `columns`; columns that nobody claims are
    left out.

    Raises:
        RecordError: a required field has no column, or several columns claim one field.
    """
    must = required(schema)
    assigned: dict[str, int] = {}
    for field in properties(schema):
        names = {normalise(name) for name in (field, *columns.get(field, ()))}
        claims = [index for index, column in enumerate(header) if normalise(column) in names]
        if len(claims) > 1:
            rivals = " and ".join(repr(header[index]) for index in claims)
            raise RecordError(f"the columns {rivals} both claim the field {field!r}")
        if claims:
            assigned[field] = claims[0]
        elif field in must:
            wanted = ", ".join(repr(name) for name in (field, *columns.get(field, ())))
            have = ", ".join(map(repr, header)) or "none"
            raise RecordError(
                f"no column for the field {field!r} (one of {wanted}); the columns are {have}"
            )
    return assigned


def to_fields(
    values: Sequence[JsonValue], assigned: Mapping[str, int], schema: JsonObject
) -> JsonObject:
    """Return the typed input fields of one record; text becomes what the input schema asks for.

    Empty text in an optional field means that the field is missing, in a required one that may be
    null that it is null.

    Raises:
        RecordError: a value cannot be read as any type that its field may have.
    """
    declared, must = properties(schema), required(schema)
    fields: JsonObject = {}
    for field, index in assigned.items():
        value = values[index]
        if field not in must and (value is None or value == ""):
            continue
        fields[field] = _typed(field, value, _types(declared[field]))
    return fields


def _types(schema: JsonValue) -> tuple[str, ...]:
    """Return the types that a field's schema names; none if it leaves them open."""
    named = schema.get("type") if isinstance(schema, dict) else None
    return tuple(map(str, named if isinstance(named, list) else [named] if named else []))


def _typed(field: str, value: JsonValue, types: tuple[str, ...]) -> JsonValue:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and "string" in types and not {"number", "integer"} & {*types}:
        return json.dumps(value)
    if value == "" and "null" in types:
        return None
    kinds = [kind for kind in types if kind != "null"]
    if not isinstance(value, str) or "string" in types or not kinds:
        return value
    for kind in kinds:
        try:
            return _read_as(kind, value.strip())
        except (ValueError, KeyError):
            continue
    raise RecordError(f"{field}: {value!r} cannot be read as {' or '.join(kinds)}")


def _read_as(kind: str, text: str) -> JsonValue:
    if kind == "integer":
        return int(text)
    if kind == "number":
        return _number(text)
    if kind == "boolean":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
            text.casefold()
        ]
    parsed = strict_json(text)
    if (kind == "array" and isinstance(parsed, list)) or (
        kind == "object" and isinstance(parsed, dict)
    ):
        return parsed
    raise ValueError(text)


def _number(text: str) -> float | int:
    number = strict_json(text)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(text)
    return number
