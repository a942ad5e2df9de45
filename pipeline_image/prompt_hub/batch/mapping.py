"""Raw records name their columns as they like; the metadata says which input field each one is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain

from pydantic import JsonValue

from prompt_hub.batch.cells import is_blank, trimmed
from prompt_hub.batch.numbers import NumberReader
from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.contracts import properties, required
from prompt_hub.repository.schema import JsonObject

SHOWN = 60
"""Characters of a value that an error shows."""


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
        RecordError: a required field or every field has no column, or several columns claim one.
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
    if properties(schema) and not assigned:
        fields = ", ".join(map(repr, properties(schema)))
        have = ", ".join(map(repr, header)) or "none"
        raise RecordError(f"no column for any field ({fields}); the columns are {have}")
    return assigned


def to_fields(
    values: Sequence[JsonValue],
    assigned: Mapping[str, int],
    schema: JsonObject,
    numbers: NumberReader | None = None,
) -> JsonObject:
    """Return the typed input fields of one record; text becomes what the input schema asks for.

    White space around text does not count. Empty text in an optional field means that the field is
    missing, in a required one that may be null that it is null.

    Raises:
        RecordError: a required field is empty, or a value cannot be read as any type that its field
            may have.
    """
    declared, must = properties(schema), required(schema)
    cells = {field: _cell(values[index]) for field, index in assigned.items()}
    kinds = {field: _types(declared[field]) for field in cells}
    empty = [field for field, value in cells.items() if is_blank(value)]
    lacking = [field for field in empty if field in must and "null" not in kinds[field]]
    if lacking:
        raise RecordError("; ".join(f"{field} is empty" for field in lacking))
    fields: JsonObject = {}
    for field, value in cells.items():
        if field not in empty:
            fields[field] = _typed(field, value, kinds[field], numbers or NumberReader())
        elif field in must:
            fields[field] = None
    return fields


_TOTAL = re.compile(
    r"(sub|grand|order|net|gross|bom|cart)?totals?(price|cost|amount|value|qty|quantity)?s?"
    r"|sum|summe|gesamt|(gesamt|zwischen|end)summe|gesamtpreis|gesamtbetrag|(sous)?total|totale"
)
"""Words that a total is called by, without what stands between letters."""


def no_record(header: Sequence[str], values: Sequence[JsonValue], fields: int) -> str | None:
    """Say what a row is that stands among records and is none; None if nothing says so.

    That is the header once more, and a total: one of the known words, behind it numbers alone, and
    something left out of the columns or of the `fields` that a record may have.
    """
    said = [(name, trimmed(value)) for name, value in zip(header, values, strict=True)]
    filled = [(name, str(value)) for name, value in said if not is_blank(value)]
    if len(filled) > 1 and all(normalise(name) == normalise(text) for name, text in filled):
        return "it is the header once more"
    if not filled or len(filled) == max(len(said), fields) or max(len(said), fields) < 3:
        return None
    word, *others = [text for _, text in filled]
    letters = re.sub(r"\([^)]*\)|[\W_]", "", word.casefold())  # `Total (USD):`
    if _TOTAL.fullmatch(letters) and all(map(_AMOUNT.fullmatch, others)):
        return f"it is a total ({word!r})"
    return None


_AMOUNT = re.compile(r"\W{0,3}([A-Z]{3}\s*)?[+-]?[0-9][0-9.,'\s]*(\W{0,3}|\s*[A-Z]{3})")
_AS_TEXT = re.compile(r'="([^"]*)"')
"""How spreadsheets are told that `="0603"` is text, and its zeros stay."""


def _cell(value: JsonValue) -> JsonValue:
    text = trimmed(value)
    kept = _AS_TEXT.fullmatch(text) if isinstance(text, str) else None
    return trimmed(kept[1]) if kept else text


def _types(schema: JsonValue) -> tuple[str, ...]:
    """Return the types that a field's schema names; none if it leaves them open."""
    if not isinstance(schema, dict):
        return ()
    named = schema.get("type")
    if named:
        return tuple(map(str, named if isinstance(named, list) else [named]))
    choices = schema.get("anyOf") or schema.get("oneOf")
    found = [_types(choice) for choice in choices] if isinstance(choices, list) else []
    return tuple(chain.from_iterable(found)) if all(found) else ()


def _typed(
    field: str, value: JsonValue, types: tuple[str, ...], numbers: NumberReader
) -> JsonValue:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and "string" in types and not {"number", "integer"} & {*types}:
        return json.dumps(value)
    kinds = [kind for kind in types if kind != "null"]
    if not isinstance(value, str) or "string" in types or not kinds:
        return value
    reasons = []
    for kind in kinds:
        try:
            return _read_as(kind, value, numbers)
        except KeyError:
            continue
        except ValueError as error:
            reasons.append(str(error) if kind in ("number", "integer") else "")
    why = next(filter(None, reasons), "")
    shown = value if len(value) <= SHOWN else value[:SHOWN] + "…"
    words = f"cannot be read as {' or '.join(kinds)}" + (f" ({why})" if why else "")
    raise RecordError(f"{field}: {words}: {shown!r}")


def _read_as(kind: str, text: str, numbers: NumberReader) -> JsonValue:
    if kind == "integer":
        return numbers.integer(text)
    if kind == "number":
        return numbers.number(text)
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
