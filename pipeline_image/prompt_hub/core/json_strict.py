"""JSON that means one thing: no key twice, no NaN, no half a character, no endless nesting."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import NoReturn

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: what is left of an escape, or of bytes that are no UTF-8."""
MAX_DIGITS = 4300
"""Python reads no longer whole number, and nothing that is counted needs one."""
MAX_DEPTH = 50
"""Nesting deeper than this is an attack on the parser, not a prompt."""


class NestingError(ValueError):
    """JSON values nested without end."""


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def bounded_json(text: str) -> object:
    """Parse JSON that nests no deeper than MAX_DEPTH; raises `NestingError`."""
    value = strict_json(text)
    if text.count("{") + text.count("[") > MAX_DEPTH:
        depth = 0
        for mark in _STRING.sub("", text):
            depth += (mark in "{[") - (mark in "}]")
            if depth > MAX_DEPTH:
                raise NestingError("values nested without end")
    return value


def is_text(text: str) -> bool:
    """Whether a string is whole characters, not bytes that could not be decoded."""
    return not SURROGATE.search(text)


def strict_json(text: str) -> object:
    """Parse JSON; raises `ValueError` for bad syntax and for what JSON should not say.

    That is a key given twice, NaN, half a character, and nesting without end.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_sane_int,
        )
        # Only an escape can smuggle in a lone surrogate, which no file could hold.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise NestingError("values nested without end") from None
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate)") from None
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice")
    return seen


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


def _sane_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not a finite number")
