"""The filters of templates: none makes much out of little, and arguments are constants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import filters
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_RENDERED = 200_000
"""Characters of a message: a longer one is a runaway template, not a prompt."""


class RunawayTemplateError(Exception):
    """A template took more steps or wrote more text than any prompt needs."""


@dataclass(frozen=True)
class Filter:
    """A filter, and for each of its arguments the types that it may have."""

    function: Callable[..., object]
    arguments: tuple[tuple[type, ...], ...] = ()


def _join(value: object, separator: str = "") -> str:
    if not isinstance(value, list | tuple):
        raise TypeError("join takes a list")
    parts = [part if isinstance(part, str) else plain_text(part) for part in value]
    size = sum(map(len, parts)) + len(separator) * max(0, len(parts) - 1)
    if size > MAX_RENDERED:
        raise RunawayTemplateError(f"it joins a text of {size} characters; at most {MAX_RENDERED}")
    return separator.join(parts)


def _items(value: object) -> list[tuple[object, object]]:
    if not isinstance(value, Mapping):
        raise TypeError("items takes an object")
    return list(value.items())


MAX_INDENT = 4
"""Spaces a level: a deep value with a wide margin would be much out of little."""


def _tojson(value: object, form: bool | int = False) -> str:
    """Write JSON on one line; `true` without spaces, a number on lines with such an indent."""
    if isinstance(form, bool):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":") if form else None)
    return json.dumps(value, ensure_ascii=False, indent=max(1, min(MAX_INDENT, form)))


def plain_text(value: object) -> str:
    """Return a value as text, true, false and null as in JSON.

    `TypeError` for lists and objects.
    """
    if isinstance(value, Mapping | list | tuple):
        raise TypeError("a list or an object needs 'tojson', 'join' or a loop to become text")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else plain_text(value)


def _of_text(function: Callable[[str], str]) -> Callable[[object], str]:
    return lambda value: function(_text(value))


def _default(value: object, instead: object = "", also_if_empty: bool = False) -> object:
    return instead if isinstance(value, Undefined) or (also_if_empty and not value) else value


def _first(value: object) -> object:
    return _elements(value)[0]


def _last(value: object) -> object:
    return _elements(value)[-1]


def _elements(value: object) -> list[Any] | tuple[Any, ...] | str:
    if isinstance(value, list | tuple | str) and value:
        return value
    raise TypeError("there is no element to take")


def _length(value: object) -> int:
    if isinstance(value, list | tuple | str | Mapping):
        return len(value)
    raise TypeError("only texts, lists and objects have a length")


def _sort(value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError("sort takes a list")
    return sorted(value)


def _unique(value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError("unique takes a list")
    return list(dict.fromkeys(value))


def _round(value: float, digits: int = 0) -> float:
    return round(value, max(-12, min(12, digits)))


def _replace(value: object, old: str, new: str) -> str:
    return _text(value).replace(old, new)


_NO_SETTINGS = ImmutableSandboxedEnvironment()
"""Jinja2's truncation asks for an environment, and of ours needs nothing."""


def _truncate(value: object, length: int = 255, inside_words: bool = False) -> str:
    return filters.do_truncate(_NO_SETTINGS, _text(value), max(3, length), inside_words, "...", 0)


FILTERS: dict[str, Filter] = {
    "capitalize": Filter(_of_text(str.capitalize)),
    "default": Filter(_default, ((str, int, float, bool, type(None)), (bool,))),
    "first": Filter(_first),
    "items": Filter(_items),
    "join": Filter(_join, ((str,),)),
    "last": Filter(_last),
    "length": Filter(_length),
    "lower": Filter(_of_text(str.lower)),
    "replace": Filter(_replace, ((str,), (str,))),
    "round": Filter(_round, ((int,),)),
    "sort": Filter(_sort),
    "title": Filter(_of_text(filters.do_title)),
    "tojson": Filter(_tojson, ((bool, int),)),
    "trim": Filter(_of_text(str.strip)),
    "truncate": Filter(_truncate, ((int,), (bool,))),
    "unique": Filter(_unique),
    "upper": Filter(_of_text(str.upper)),
}
"""Every filter; none makes much out of little, and arguments are constants."""
