"""Raw records name their columns as they like; the metadata says which input field each one is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from prompt_hub.prompts.contracts import properties, required
from prompt_hub.prompts.documents import strict_json
from prompt_hub.prompts.models import JsonObject


class RecordError(ValueError):
    """A record, or the header above all of them, cannot be turned into fields."""


def normalise(column: str) -> str:
    """A column's name without case and white space: `Part  No` and `partno` are the same."""
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
    """The typed input fields of one record; text becomes what the input schema asks for.

    Empty text in an optional field means that the field is missing.

    Raises:
        RecordError: a value cannot be read as the type that its field has.
    """
    declared, must = properties(schema), required(schema)
    fields: JsonObject = {}
    for field, index in assigned.items():
        value = values[index]
        if field not in must and (value is None or value == ""):
            continue
        fields[field] = _typed(field, value, _type(declared[field]))
    return fields


def _typed(field: str, value: JsonValue, kind: JsonValue) -> JsonValue:
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    if not isinstance(value, str) or kind == "string":
        return value
    text = value.strip()
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return _number(text)
        if kind == "boolean":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                text.casefold()
            ]
        if kind in {"array", "object"}:
            parsed = strict_json(text)
            if isinstance(parsed, list | dict):
                return parsed
            raise ValueError(text)
    except (ValueError, KeyError):
        raise RecordError(f"{field}: {value!r} cannot be read as {kind}") from None
    return value


def _number(text: str) -> float | int:
    number = strict_json(text)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(text)
    return number


def _type(schema: JsonValue) -> JsonValue:
    return schema.get("type") if isinstance(schema, dict) else None
