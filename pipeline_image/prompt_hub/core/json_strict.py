"""JSON that means one thing: no key twice, no NaN, no half a character, no endless nesting."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import NoReturn

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: what is left of an escape, or of bytes that are no UTF-8."""
_DECODER = json.JSONDecoder()
_BEFORE_A_VALUE = ",:[{"
_MARK = re.compile(r'[",:\[{\]}]')
MAX_DIGITS = 4300
"""Python reads no longer whole number, and nothing that is counted needs one."""
MAX_DEPTH = 50
"""Nesting deeper than this is an attack on the parser, not a prompt.

It lies far below what the validator, the templates and Python itself can follow, so what was read
can be judged, rendered and written again.
"""
ENVELOPE_DEPTH = MAX_DEPTH + 10
"""How deep a line or a request may nest that we wrap around values of `MAX_DEPTH`."""


MAX_VALUES = 5000
"""So many names and values are read of what a stranger sends: building more holds up others."""


def without_place(error: json.JSONDecodeError) -> str:
    """Return what is wrong with a text, for who says the place: Python's words may end in "at"."""
    return error.msg.removesuffix(" at")


class NestingError(ValueError):
    """JSON values nested deeper than is read."""

    def __init__(self, max_depth: int = MAX_DEPTH) -> None:
        super().__init__(f"values nested more than {max_depth} deep")


class TooManyValuesError(ValueError):
    """JSON of so many names and values that reading it would hold up others."""


def is_text(text: str) -> bool:
    """Whether a string is whole characters, not bytes that could not be decoded."""
    return not SURROGATE.search(text)


def strict_json(
    text: str, *, max_depth: int = MAX_DEPTH, names: dict[str, str] | None = None
) -> object:
    """Parse JSON, in time linear in `text`; raises `ValueError` for what JSON should not say.

    Besides bad syntax that is a key given twice, NaN, and half a character. Texts that are parsed
    with one dictionary of `names` share their keys, which are most of what many records hold.

    Raises:
        NestingError: it nests deeper than `max_depth`.
    """
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
    try:
        value = (_STRICT if names is None else _strict(partial(_shared_keys, names))).decode(text)
    except RecursionError:
        raise NestingError(max_depth) from None
    if text.count("{") + text.count("[") > max_depth and is_deeper(value, max_depth):
        raise NestingError(max_depth)
    # Only an escape can smuggle in a lone surrogate, which no file could hold.
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("half a character (a lone surrogate)") from None
    return value


def refuse_large(text: str, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> None:
    """Refuse what is not worth parsing; looks no further than the first name or value too many.

    Of a text that is no JSON nothing else is found out.

    Raises:
        NestingError: it nests deeper than `max_depth`.
        TooManyValuesError: it has more than `max_values` names and values.
    """
    # Most texts are settled by this: marks inside of strings are counted, too.
    if sum(map(text.count, _BEFORE_A_VALUE)) < min(max_depth, max_values):
        return
    values, depth, at = 1, 0, 0
    while mark := _MARK.search(text, at):
        at = mark.end()
        if mark[0] in "[{":
            depth += 1
        elif mark[0] in "]}":
            depth -= 1
        elif mark[0] == '"':
            try:
                _, at = _DECODER.raw_decode(text, mark.start())
            except ValueError:
                return
        values += mark[0] in _BEFORE_A_VALUE
        if depth > max_depth:
            raise NestingError(max_depth)
        if values > max_values:
            raise TooManyValuesError(f"more than {max_values} names and values")


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its members; raises `ValueError` if two of them have one name."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {name!r} twice")
            seen.add(name)
    return members


def _shared_keys(names: dict[str, str], pairs: list[tuple[str, object]]) -> dict[str, object]:
    return unique_keys([(names.setdefault(name, name), value) for name, value in pairs])


def is_deeper(value: object, max_depth: int = MAX_DEPTH) -> bool:
    """Whether more than `max_depth` objects and arrays lie inside each other."""
    level = [value]
    for _ in range(max_depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(value, dict | list) for value in level)


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


def _sane_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not a finite number")


def _strict(
    make_object: Callable[[list[tuple[str, object]]], dict[str, object]],
) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=make_object,
        parse_constant=_refuse_constant,
        parse_float=_finite_float,
        parse_int=_sane_int,
    )


_STRICT = _strict(unique_keys)
"""Made once: `json.loads` makes one for each text, which takes as long as a short text does."""
