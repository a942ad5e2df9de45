"""Membership of an enumeration in constant time.

The validator compares a value with every member in turn. With one member for each of a shop's
hundred thousand part numbers, and an example for each, that is quadratic.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence

from pydantic import JsonValue

LARGE = 100
"""From so many members on, looking one up costs less than comparing with each."""
_NAMED = 2


class LargeEnum:
    """`enum` as the validator takes a keyword of somebody else's: one object an occurrence."""

    def __init__(self, parent: object, members: Sequence[JsonValue], path: object) -> None:
        self._members = frozenset(map(_identity, members))
        self._first = list(members[: _NAMED + 1])
        self._count = len(members)

    def validate(self, instance: object) -> None:
        """Raise `ValueError` with the validator's own words if `instance` is no member."""
        if _identity(instance) not in self._members:
            raise ValueError(f"{_written(instance)} is not one of {self._choices()}")

    def _choices(self) -> str:
        first = list(map(_written, self._first))
        if self._count > _NAMED + 1:
            return f"{', '.join(first[:_NAMED])} or {self._count - _NAMED} other candidates"
        return " or ".join(filter(None, (", ".join(first[:-1]), first[-1])))


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _identity(value: object) -> Hashable:
    """Return what two values share exactly when JSON Schema calls them equal: 1 and 1.0 are."""
    match value:
        case bool() | None:
            return (type(value), value)
        case str():
            return value
        case int() | float():
            return (float, value)  # Python hashes equal numbers equally
        case list():
            return (list, tuple(map(_identity, value)))
        case dict():
            members = ((name, _identity(member)) for name, member in value.items())
            return (dict, frozenset(members))
    raise TypeError(f"no value of JSON: {type(value).__name__}")
