"""A record's fields as JSON has them, so that the contract judges what the templates render."""

from __future__ import annotations

from enum import Enum
from math import isfinite
from typing import cast

from pydantic import JsonValue

from prompt_hub.core.json_strict import ENVELOPE_DEPTH, is_text
from prompt_hub.repository.input_check import MOST_PROBLEMS, list_problems
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import JsonObject

_PLAIN = {str, int, bool, type(None)}
_NOT_JSON = "must be a JSON value, is something else"


def plain_fields(fields: JsonObject) -> tuple[JsonObject, list[dict[str, str]]]:
    """Return fields as JSON has them, and one entry `{field, problem}` for what it cannot have.

    An enum becomes its value, a subclass of a string or a number what it holds, a tuple a list.
    """
    if _is_plain(fields):
        return fields, []
    found: list[tuple[str, str]] = []
    # What is no object stays none: the contract says so.
    plain = cast("JsonObject", _plain(fields, (), found))
    return plain, list_problems(found)


def _is_plain(fields: JsonObject) -> bool:
    """Whether nothing is to be done, as for most records: each rendering waits for this."""
    if type(fields) is not dict or not {*map(type, fields)} <= {str}:
        return False
    values = fields.values()
    if not {*map(type, values)} <= _PLAIN:
        return False
    return is_text("".join([*fields, *(value for value in values if isinstance(value, str))]))


def _plain(value: object, place: Location, found: list[tuple[str, str]]) -> JsonValue:
    if len(found) == MOST_PROBLEMS:
        # Nobody is told of more, and what refers to itself twice would not end in our time.
        return None
    value = _held(value)
    # By the base's own method: a subclass may tell something else than what it holds.
    match value:
        case None | bool():
            return value
        case str() if is_text(value):
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float() if isfinite(value):
            return float.__float__(value)
        case list() | tuple() if len(place) < ENVELOPE_DEPTH:
            return [_plain(item, (*place, index), found) for index, item in enumerate(value)]
        case dict() if len(place) < ENVELOPE_DEPTH and _has_names(value):
            return {
                (text := str.__str__(_held(name))): _plain(item, (*place, text), found)
                for name, item in value.items()
            }
    found.append((".".join(map(str, place)), _NOT_JSON))
    return None


def _held(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _has_names(value: dict[object, object]) -> bool:
    return all(isinstance(name, str) and is_text(name) for name in map(_held, value))
