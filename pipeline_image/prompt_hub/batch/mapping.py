"""Raw records name their columns as they like; the metadata says which input field each one is."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from pydantic import JsonValue

from prompt_hub.batch.cells import is_blank, trimmed
from prompt_hub.batch.numbers import NumberReader
from prompt_hub.core.json_strict import strict_json
from prompt_hub.core.unicode_forms import compatible
from prompt_hub.repository.contracts import properties, required
from prompt_hub.repository.schema import JsonObject

SHOWN = 60
"""Characters of a value that an error shows."""


class RecordError(ValueError):
    """A record, or the header above all of them, cannot be turned into fields."""


def normalise(column: str) -> str:
    """Return a column's name without case and white space: `Part  No` and `partno` are the same.

    Nor does its Unicode form count: letters may be composed or not, and of any width.
    """
    joined = "".join(compatible(column).casefold().split())
    # An accent behind a space goes with the letter before it now.
    return compatible(joined)


def names_of(field: str, columns: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names that a field's column may have, normalised: its own and those declared."""
    return {normalise(name) for name in (field, *columns.get(field, ()))}


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
        names = names_of(field, columns)
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


_COUNTED = (
    "parts?|items?|components?|positions?|pieces?|pcs?|units?|lines?|ea|teile?|stück|stueck|stk"
)
_TOTAL = re.compile(
    r"(sub|grand|order|net|gross|bom|cart)?totals?((numberof|no)?("
    rf"price|cost|amount|value|qty|quantity|count|{_COUNTED}))?s?"
    r"|sum|summe|gesamt|(gesamt|zwischen|end)summe|gesamt(preis|betrag|anzahl|menge)"
    r"|(sous)?total|totale"
)
"""Words that a total is called by, without what stands between letters."""
_CURRENCY = re.compile(r"\W{1,3}|EUR|USD|GBP|CHF|JPY|CNY|RMB|SEK|NOK|DKK|PLN|CZK|CAD|AUD|INR")
_AMOUNT = re.compile(
    r"\W{0,3}(?:[A-Z]{3}\s*)?[+-]?[0-9][0-9.,'\s]*"
    rf"(?:\W{{0,3}}|\s*[A-Z]{{3}}|(?i:{_COUNTED})\.?)"
)
_TOTAL_IN_ONE = re.compile(rf"([^:=]+)[:=]\s*({_AMOUNT.pattern})")
"""`Total: 12`. Without the mark it may be a name with a number."""
_COLUMN_OF_AMOUNTS = re.compile(
    r"(total|unit|ext(ended)?|line)?(qty|quantity|price|cost|amount)s?(usd|eur)?"
    r"|menge|anzahl|st(ü|ue)ckzahl|(einzel|gesamt|st(ü|ue)ck)?preis|betrag|pcs"
)
"""Names, without what stands between letters, of columns that hold quantities or prices."""


def no_record(
    header: Sequence[str],
    values: Sequence[JsonValue],
    fields: int,
    names: Mapping[int, Collection[str]] | None = None,
) -> str | None:
    """Say why a row among the records is not one; None for a record.

    That is the header once more, also in the other `names` (normalised) that a column may have; and
    a total: one of the known words, behind it amounts alone, and either something left out of the
    columns or of the `fields` that a record may have, or all behind it in columns of amounts.
    """
    cells = [
        (place, name, trimmed(value))
        for place, (name, value) in enumerate(zip(header, values, strict=True))
    ]
    filled = [(place, name, str(value)) for place, name, value in cells if not is_blank(value)]
    known = names or {}
    if len(filled) > 1 and all(
        normalise(text) in (normalise(name), *known.get(place, ())) for place, name, text in filled
    ):
        return "it is the header once more"
    if not filled:
        return None
    (_, _, first), *others = filled
    in_one = _TOTAL_IN_ONE.fullmatch(first)
    word, said_there = in_one.groups() if in_one else (first, None)
    if not _TOTAL.fullmatch(_letters(word)):
        return None
    width = max(len(cells), fields)
    left_out = len(filled) < width and (width > 2 or in_one is not None)
    if not left_out and not (
        others and all(_COLUMN_OF_AMOUNTS.fullmatch(_letters(name)) for _, name, _ in others)
    ):
        return None
    behind = [text for _, _, text in others]
    amounts = [text for text in (said_there, *behind) if text and _AMOUNT.fullmatch(text)]
    rest = [text for text in behind if not _AMOUNT.fullmatch(text)]
    if rest and not (amounts and all(map(_CURRENCY.fullmatch, rest))):
        return None
    return f"it is a total ({first!r})"


def _letters(text: str) -> str:
    """Return a name's letters alone: `Total (USD):` is `total`."""
    return re.sub(r"\([^)]*\)|[\W_]", "", text.casefold())


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
