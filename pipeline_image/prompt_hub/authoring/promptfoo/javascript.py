"""How JavaScript takes values: as text, as a number, as true, as equal. Pure, and for JSON only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import assert_never

from pydantic import JsonValue


class Undefined:
    """A value that is not there, which is another thing than null."""


UNDEFINED = Undefined()
Value = JsonValue | Undefined
NAN = float("nan")
SAFE_INTEGER = 2**53 - 1
_NUMERAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPACE = " \t\n\v\f\r\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


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
        case str():
            return value
        case int() | float():
            return number_text(value)
        case list():
            return ",".join(map(text, value))
        case dict():
            return "[object Object]"
        case _:
            assert_never(value)


def as_json(value: JsonValue, indent: int | None = None) -> str:
    """Return `JSON.stringify(value, null, indent)`."""
    if any(repr(item) != number_text(item) for item in _floats(value)):
        raise ArithmeticError("a number that JSON writes otherwise here")
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def _floats(value: JsonValue) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _floats(item)


def length(value: str) -> int:
    """Return a text's length in units of UTF-16."""
    return len(value) + sum(character > "\uffff" for character in value)


def trim(value: str) -> str:
    """Return a text without JavaScript's white space around it."""
    return value.strip(_SPACE)


def truthy(value: Value) -> bool:
    """Whether a value counts as true: an empty list and an empty object do."""
    return isinstance(value, list | dict) or (not isinstance(value, Undefined) and bool(value))


def as_number(value: Value) -> float:
    """Return `Number(value)`."""
    match value:
        case None:
            return 0
        case bool() | int() | float():
            return value + 0
        case str():
            bare = trim(value)
            return float(bare) if _NUMERAL.fullmatch(bare) else (NAN if bare else 0)
        case list():
            return as_number(text(value))
        case dict() | Undefined():
            return NAN
        case _:
            assert_never(value)


def kind(value: Value) -> str:
    """Return the type of a value, `null` apart from objects."""
    match value:
        case None:
            return "null"
        case Undefined():
            return "undefined"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list() | dict():
            return "object"
        case _:
            assert_never(value)


def identical(left: Value, right: Value) -> bool:
    """`===`; lists and objects are the same only as themselves."""
    if kind(left) != kind(right):
        return False
    return left is right if isinstance(left, list | dict) else left == right


def alike(left: Value, right: Value) -> bool:
    """`==`, which makes a number or a text of what it compares."""
    kinds = {kind(left), kind(right)}
    if len(kinds) == 1:
        return identical(left, right)
    if kinds & {"null", "undefined"}:
        return kinds == {"null", "undefined"}
    if "object" in kinds and "boolean" not in kinds:
        left, right = (text(v) if isinstance(v, list | dict) else v for v in (left, right))
        return alike(left, right)
    return as_number(left) == as_number(right)


def before(left: Value, right: Value) -> bool:
    """`<`."""
    if isinstance(first := _primitive(left), str) and isinstance(second := _primitive(right), str):
        return _units(first) < _units(second)
    return as_number(left) < as_number(right)


def at_most(left: Value, right: Value) -> bool:
    """`<=`."""
    if isinstance(first := _primitive(left), str) and isinstance(second := _primitive(right), str):
        return _units(first) <= _units(second)
    return as_number(left) <= as_number(right)


def _primitive(value: Value) -> Value:
    return text(value) if isinstance(value, list | dict) else value


def _units(value: str) -> bytes:
    return value.encode("utf-16-be", "surrogatepass")
