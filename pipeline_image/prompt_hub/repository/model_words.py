"""What a key of a file needs, in words: pydantic's own are for programmers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from prompt_hub.core.foreign_text import shortened
from prompt_hub.core.wording import noun
from prompt_hub.repository.schema import TASK_PATTERN, VERSION_PATTERN

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CHOICE = re.compile(r"'([^']*)'")
"""A choice in a message about an enumeration."""
_LONGEST = 80
"""Characters of a value that are shown."""
_TIME = "a time with its zone, such as 2026-11-22T13:57:55Z"
_LIST, _MAPPING, _TRUTH, _TEXT = "a list", "a mapping", "true or false", "a text"
_PLAIN = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "string_type": _TEXT,
    "timezone_aware": _TIME,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "invalid-json-value": "a text in quotes",
}
_OF_NUMBERS = {
    "int_type", "int_parsing", "int_from_float", "float_type", "float_parsing", "finite_number",
    "greater_than", "greater_than_equal", "less_than", "less_than_equal",
}  # fmt: skip
_PATTERNS = {
    TASK_PATTERN: "small letters, digits and single hyphens, such as part-class",
    VERSION_PATTERN: "a version such as 1.2.0",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[a-z][a-z0-9-]*$": "small letters, digits and hyphens, such as catalogue-pinned",
    r"^[^.]+(\.[^.]+)*$": "the name of a field; dots lead into objects",
}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def found_words(value: object) -> str:
    """Return a value as whoever wrote the file knows it.

    >>> found_words(None), found_words(True), found_words("0.7"), found_words([1, 2])
    ('null', 'true', "'0.7'", 'a list of 2')
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case datetime():
            return f"the time {value.isoformat()}"
        case date():
            return f"the date {value.isoformat()}"
    return shortened(repr(value), _LONGEST)


def expected_words(error: ErrorDetails, schema: Mapping[str, object]) -> str:
    """Say what a value should be that pydantic has refused; `schema` is that of its place."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _OF_NUMBERS:
        return _number(schema) + _as_number(error["input"], schema)
    if kind in _PLAIN:
        return _PLAIN[kind] + _keys(schema)
    match kind:
        case "literal_error" | "enum" if choices := CHOICE.findall(error["msg"]):
            return f"one of: {', '.join(choices)}" if len(choices) > 1 else repr(*choices)
        case "string_pattern_mismatch":
            pattern = str(context.get("pattern"))
            return _PATTERNS.get(pattern, f"a text of the form {pattern}")
        case "string_too_short":
            least = context.get("min_length")
            return (
                "a text that is not empty"
                if least == 1
                else f"at least {_counted(least, 'character')}"
            )
        case "string_too_long":
            return f"at most {_counted(context.get('max_length'), 'character')}"
        case "too_short":
            return _entries("at least", context.get("min_length"))
        case "too_long":
            return _entries("at most", context.get("max_length"))
    return error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")


def follows_from_others(error: ErrorDetails) -> bool:
    """Whether pydantic counts the entries that it did not refuse: each is told by itself."""
    given, least = error["input"], error.get("ctx", {}).get("min_length")
    return (
        error["type"] == "too_short"
        and isinstance(given, list | dict)
        and isinstance(least, int)
        and len(given) >= least
    )


def _entries(bound: str, number: object) -> str:
    return f"{bound} {'one entry' if number == 1 else _counted(number, 'entry', 'entries')}"


def _counted(number: object, singular: str, plural: str | None = None) -> str:
    return f"{number} {noun(number, singular, plural)}"


def _keys(schema: Mapping[str, object]) -> str:
    needed = schema.get("required")
    return f" with {', '.join(map(str, needed))}" if isinstance(needed, list) and needed else ""


def _number(schema: Mapping[str, object]) -> str:
    kind = "a whole number" if schema.get("type") == "integer" else "a number"
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{kind} from {low:g} to {high:g}"
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (
            ("of at least", low),
            ("above", above),
            ("at most", high),
            ("below", below),
        )
        if bound is not None
    ]
    return " ".join([kind, " and ".join(bounds)]).strip()


def _as_number(given: object, schema: Mapping[str, object]) -> str:
    """Return how to write a fraction that was written as a percentage or as a text."""
    fraction = (schema.get("minimum"), schema.get("maximum")) == (0, 1)
    if isinstance(given, str):
        if fraction and (percent := _PERCENT.fullmatch(given)):
            return f": {float(percent[1]) / 100:g}"
        return ", without quotes" if re.fullmatch(r"[-+]?\d+(\.\d+)?", given) else ""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return ""
    if fraction and 2 <= given <= 100:
        return f": {given / 100:g} for {given:g} %"
    return ""
