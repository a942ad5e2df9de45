"""Building blocks: `{% include 'name' %}` puts a file of `00-templates` in its place, as text.

A whole text remembers where each of its pieces was written, so that a problem in it is told with
the block's own file and line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.json_positions import position
from prompt_hub.repository.templates import MAX_TEMPLATE

_INCLUDE = re.compile(
    r"""\{%(?P<before>-?)\s*include\s+(['"])(?P<name>[^'"]+)\2\s*(?P<after>-?)%\}"""
)
"""An include; a `-` takes the white space away that stands on its side, as in Jinja2."""
MAX_DEPTH = 5
"""Blocks inside blocks: nested deeper, the words that the model reads are hard to find."""


@dataclass(frozen=True)
class SourceLocation:
    """A character of a template: in the building block `file`, or in the message if that is empty.

    `offset` counts from the start of the block's or the message's own text, `line` and `column`
    from 1.
    """

    file: str
    line: int
    column: int
    offset: int


class BlockError(PromptHubError):
    """A building block cannot be put in its place; `place` is the include that names it."""

    def __init__(self, place: SourceLocation, found: str, expected: str, rule: str) -> None:
        where = f"{place.file}:{place.line}:{place.column}: " if place.file else ""
        message = f"{where}found {found}; expected {expected}."
        super().__init__(message, exit_code=ExitCode.BLOCKED)
        self.place, self.found, self.expected, self.rule = place, found, expected, rule


@dataclass(frozen=True)
class _Piece:
    """Part of a whole text: where it starts there, and where it was written."""

    start: int
    file: str
    source: str
    offset: int


@dataclass(frozen=True)
class ExpandedTemplate:
    """A template with its building blocks in place, and where every character comes from."""

    text: str
    pieces: tuple[_Piece, ...]

    def place(self, offset: int) -> SourceLocation:
        """Where the character at `offset` of the whole text was written."""
        index = bisect_right([piece.start for piece in self.pieces], offset) - 1
        piece = self.pieces[max(index, 0)]
        at = piece.offset + offset - piece.start
        line, column = position(piece.source, at)
        return SourceLocation(piece.file, line, column, at)

    def line_start(self, line: int) -> int:
        """Offset of the first character, white space aside, of a line of the whole text."""
        lines = self.text.split("\n")
        before = sum(len(text) + 1 for text in lines[: line - 1])
        here = lines[line - 1] if line <= len(lines) else ""
        return min(before + len(here) - len(here.lstrip()), len(self.text))

    def find(self, word: str, line: int) -> int:
        """Offset of the first `word` on `line` or behind it; the line's start if there is none."""
        start = self.line_start(line)
        match = re.compile(rf"\b{re.escape(word)}\b").search(self.text, start)
        return match.start() if match else start


def expand_includes(
    content: str, read: Callable[[str, SourceLocation], tuple[str, str]]
) -> ExpandedTemplate:
    """`content` with every block that it includes in its place.

    `read` returns a block's file and text, given its name and the include.

    Raises:
        BlockError: blocks include one another in a circle, too deeply or too often.
    """
    pieces: list[_Piece] = []
    texts: list[str] = []
    size = 0

    def add(text: str, piece: _Piece) -> None:
        nonlocal size
        if text or not pieces:
            texts.append(text)
            pieces.append(piece)
            size += len(text)

    def walk(file: str, source: str, chain: tuple[str, ...]) -> None:
        at = 0
        for match in _INCLUDE.finditer(source):
            before = source[at : match.start()]
            add(before.rstrip() if match["before"] else before, _Piece(size, file, source, at))
            place = SourceLocation(file, *position(source, match.start()), match.start())
            name = match["name"]
            if name in chain:
                circle = " → ".join((*chain[chain.index(name) :], name))
                found = f"building blocks that include one another: {circle}"
                raise BlockError(place, found, "no circle", "block-circle")
            if len(chain) == MAX_DEPTH:
                found = f"building blocks {MAX_DEPTH + 1} deep: {' → '.join((*chain, name))}"
                raise BlockError(place, found, f"at most {MAX_DEPTH}", "block-circle")
            inner_file, inner = read(name, place)
            walk(inner_file, inner.rstrip("\n"), (*chain, name))
            at = match.end()
            if match["after"]:
                at = len(source) - len(source[at:].lstrip())
            if size > MAX_TEMPLATE:
                found = "building blocks that grow a message without end"
                expected = f"at most {MAX_TEMPLATE} characters"
                raise BlockError(place, found, expected, "block-circle")
        add(source[at:], _Piece(size, file, source, at))

    walk("", content, ())
    return ExpandedTemplate("".join(texts), tuple(pieces))
