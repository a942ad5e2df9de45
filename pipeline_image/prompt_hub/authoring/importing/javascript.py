"""How JavaScript takes values: as numbers, as text, as true, as equal. Pure, and for JSON only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

from pydantic import JsonValue


class Undefined:
    """A value that is not there, which is another thing than null."""


UNDEFINED = Undefined()
Value = JsonValue | Undefined
SAFE_INTEGER = 2**53 - 1
_SPACE = " \t\n\v\f\r\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


class UnknownMeaningError(Exception):
    """promptfoo stops here, or what it does is not known; says why."""


def number(value: float) -> int | float:
    """Return a number as JavaScript holds it: a double, without a difference of 5 and 5.0."""
    if isinstance(value, int) and abs(value) <= SAFE_INTEGER:
        return value
    try:
        text = number_text(float(value))
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return float(text) if re.search(r"[.eIN]", text) else int(text)


def number_text(value: float) -> str:
    """Return a number as JavaScript writes it: `0.00001`, `1e-7`, `1e+21`."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) <= SAFE_INTEGER:
        return str(int(value))
    shortest = Decimal(repr(float(value)))
    exponent = shortest.adjusted()
    if -7 < exponent < 21:
        fixed = format(shortest, "f")
        return fixed.rstrip("0").rstrip(".") if "." in fixed else fixed
    sign, digits, _ = shortest.normalize().as_tuple()
    whole, rest = str(digits[0]), "".join(map(str, digits[1:]))
    return f"{'-' * sign}{whole}{'.' * bool(rest)}{rest}e{exponent:+d}"


def text(value: Value) -> str:
    """Return `String(value)`; null and undefined are empty, as Nunjucks and `join` have them."""
    match value:
        case None | Undefined():
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case list():
            return ",".join(map(text, value))
        case dict():
            return "[object Object]"
    return value


def as_json(value: JsonValue, indent: int | None = None) -> str:
    """Return `JSON.stringify(value, null, indent)`; raises `UnknownMeaningError`."""
    if any(isinstance(n, float) and repr(n) != number_text(n) for n in parts(value)):
        raise UnknownMeaningError("a number that JSON writes otherwise here")
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def parts(value: JsonValue) -> Iterator[JsonValue]:
    """Yield a value and every value in it."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict):
            waiting.extend(reversed(part.values()))
        elif isinstance(part, list):
            waiting.extend(reversed(part))


def length(value: str) -> int:
    """Return a text's length in units of UTF-16."""
    return len(value) + sum(character > "\uffff" for character in value)


def trim(value: str) -> str:
    """Return a text without JavaScript's white space around it."""
    return value.strip(_SPACE)


def truthy(value: Value) -> bool:
    """Whether a value counts as true: an empty list and an empty object do."""
    return isinstance(value, list | dict) or (not isinstance(value, Undefined) and bool(value))


def identical(left: JsonValue, right: JsonValue) -> bool:
    """Whether two values that are neither lists nor objects are `===`."""
    plain = not isinstance(left, list | dict)
    return plain and isinstance(left, bool) is isinstance(right, bool) and left == right
