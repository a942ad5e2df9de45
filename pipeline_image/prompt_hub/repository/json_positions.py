"""Where every value of a JSON text stands, and what strict JSON forbids in it.

The parser of the standard library knows no places. This slower scanner runs only over texts that
have a problem, and only after that parser has accepted their syntax.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isinf

from prompt_hub.core.json_strict import MAX_DIGITS, SURROGATE

Location = tuple[str | int, ...]
Position = tuple[int, int]

_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^ \t\n\r,\]}]+")
_LINE_END = re.compile("\n")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class JsonAnomaly:
    """Something that JSON's grammar allows and no file of ours should say."""

    rule: str
    location: Location
    offset: int
    found: str


@dataclass
class _Open:
    """An array or object whose end has not come yet."""

    location: Location
    names: set[str] | None
    index: int = 0


@dataclass
class JsonScanner:
    """One walk over a text that `json` can parse: offsets of all values and keys, and oddities."""

    text: str
    values: dict[Location, int] = field(default_factory=dict)
    keys: dict[Location, int] = field(default_factory=dict)
    oddities: list[JsonAnomaly] = field(default_factory=list)

    def __post_init__(self) -> None:
        stack: list[_Open] = []
        location: Location = ()
        at = self._skip(0)
        while True:
            at, opened = self._value(location, at)
            if opened is not None:
                stack.append(opened)
                if self.text[at] not in "]}":
                    location, at = self._item(stack[-1], at)
                    continue
            while stack and self.text[at] in "]}":
                stack.pop()
                at = self._skip(at + 1)
            if not stack:
                return
            location, at = self._item(stack[-1], self._skip(at + 1))

    def _skip(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        assert space is not None
        return space.end()

    def _value(self, location: Location, at: int) -> tuple[int, _Open | None]:
        """Note the value at `at`; returns what comes behind it, or inside it if it opens."""
        self.values[location] = at
        first = self.text[at]
        if first in "[{":
            return self._skip(at + 1), _Open(location, set() if first == "{" else None)
        if first == '"':
            return self._skip(self._string(location, at)[1]), None
        scalar = _SCALAR.match(self.text, at)
        assert scalar is not None
        if found := _not_finite(scalar[0]):
            self.oddities.append(JsonAnomaly("not-finite", location, at, found))
        return self._skip(scalar.end()), None

    def _item(self, inside: _Open, at: int) -> tuple[Location, int]:
        """Where the next value of an array or object is, and its location."""
        if inside.names is None:
            inside.index += 1
            return (*inside.location, inside.index - 1), at
        name, end = self._string(inside.location, at)
        location = (*inside.location, name)
        if name in inside.names:
            self.oddities.append(
                JsonAnomaly("duplicate-key", location, at, f"the key {name!r} twice")
            )
        inside.names.add(name)
        self.keys[location] = at
        return location, self._skip(self._skip(end) + 1)

    def _string(self, location: Location, at: int) -> tuple[str, int]:
        value, end = _DECODER.raw_decode(self.text, at)
        if SURROGATE.search(value):
            found = "half a character (a lone surrogate)"
            self.oddities.append(JsonAnomaly("surrogate", location, at, found))
        return value, end


def _not_finite(scalar: str) -> str:
    if scalar in {"NaN", "Infinity", "-Infinity"}:
        return scalar
    if scalar.lstrip("-").isdigit():
        return f"a number of {len(scalar)} digits" if len(scalar) > MAX_DIGITS else ""
    try:
        return scalar if isinf(float(scalar)) else ""
    except ValueError:  # true, false, null
        return ""


class PositionMap(Mapping[Location, Position]):
    """Line and column of every value of a JSON text, found when first asked for."""

    def __init__(self, text: str, first_line: int = 1, *, of_keys: bool = False) -> None:
        self._text, self._first_line, self._of_keys = text, first_line, of_keys

    @cached_property
    def _lines(self) -> LineIndex:
        return LineIndex(self._text, self._first_line)

    @cached_property
    def _offsets(self) -> dict[Location, int]:
        scan = JsonScanner(self._text)
        return scan.keys if self._of_keys else scan.values

    def __getitem__(self, location: Location) -> Position:
        return self._lines.position(self._offsets[location])

    def __iter__(self) -> Iterator[Location]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)


class LineIndex:
    """Where the lines of a text begin: found once, however many positions are asked for."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text))]
        self._first_line = first_line

    def position(self, offset: int) -> Position:
        """Line and column, from 1, of a character of the text."""
        line = bisect_right(self._starts, offset)
        return line - 1 + self._first_line, offset - self._starts[line - 1] + 1


def position(text: str, offset: int, first_line: int = 1) -> Position:
    """Line and column, from 1, of one character of a text; for many there is `LineIndex`."""
    before = text.rfind("\n", 0, offset)
    return text.count("\n", 0, offset) + first_line, offset - before
