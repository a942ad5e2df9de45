"""What no text of ours should have in it: looked for in a file, or in one piece of it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO

from prompt_hub.core.hidden_characters import CONTROL, HIDDEN, find_hidden, in_words
from prompt_hub.repository.documents import Problem, decoded
from prompt_hub.repository.examples import PIECE
from prompt_hub.repository.json_positions import position
from prompt_hub.repository.reader import EVALS
from prompt_hub.repository.syntax_words import (
    CONFLICT,
    MERGED,
    conflict_begin,
    conflict_marker,
    has_conflict_end,
)
from prompt_hub.validation import secrets

BOM = b"\xef\xbb\xbf"
_EVIDENCE = f"prompts/{EVALS}/"
_VISIBLE = bytes([*b"\t\n", *range(0x20, 0x7F)])


def pieces(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield a file of any size in pieces of whole lines, and how many lines end before each.

    A piece begins with the line feed behind the one before it: so what is looked for at the
    beginning of a line is found there.
    """
    number, line_feed = 0, b""
    while lines := stream.readlines(PIECE):
        yield number - len(line_feed), line_feed + b"".join(lines)
        number += len(lines)
        line_feed = b"\n"


class TextScan:
    """What was found in a text, be it looked through at once or piece by piece."""

    def __init__(self, file: str) -> None:
        """Begin with nothing."""
        self.text = ""
        """What was looked through last, without a byte order mark."""
        self.odd: dict[str, Problem] = {}
        """The first character of each kind that should not stand in it, by its rule."""
        self.keys: list[secrets.Found] = []
        """The first places where something looks like a key."""
        self.conflict: Problem | None = None
        """Where the first conflict begins that git has left in it."""
        self._file = file
        self._begun: Problem | None = None
        """Where one begins whose end was not met yet."""

    def look(self, raw: bytes, before: int = 0) -> None:
        """Look through a piece, before which so many lines end.

        Raises `InvalidDocumentsError` for bytes that are not UTF-8.
        """
        text = decoded(raw, self._file, before + 1)
        for problem in _odd_characters(raw, text, self._file, before + 1):
            self.odd.setdefault(problem.rule, problem)
        text = self.text = text.removeprefix("\ufeff")
        if more := secrets.MOST - len(self.keys):
            found = islice(secrets.find(text), more)
            self.keys += [(line + before, column, kind) for line, column, kind in found]
        behind = 0
        if self._begun is None and (at := conflict_begin(text)) is not None:
            marker = conflict_marker(text[at:].split("\n", 1)[0])
            place = position(text, at, before + 1)
            self._begun = Problem(self._file, *place, "", marker, MERGED, CONFLICT)
            behind = at
        if self._begun and self.conflict is None and has_conflict_end(text, behind):
            self.conflict = self._begun


def _odd_characters(raw: bytes, text: str, file: str, first_line: int) -> Iterator[Problem]:
    """Yield what is text, but should not stand in a file of ours; each kind told once."""
    # Few files have anything but visible ASCII in most places: the rest is looked through first.
    rest = raw.translate(None, _VISIBLE).decode("utf-8")
    if not (CONTROL.search(rest) or HIDDEN.search(rest) or "\r" in rest):
        return
    body = text
    if text.startswith("\ufeff"):
        body = " " + text[1:]
        yield Problem(file, 1, 1, "", "a byte order mark", "UTF-8 without it", "bom")
    if (at := body.find("\r")) >= 0:
        what = (
            "a Windows line end (CR LF)" if body[at + 1 : at + 2] == "\n" else "a carriage return"
        )
        place = position(body, at, first_line)
        yield Problem(file, *place, "", what, "line feeds alone", "crlf")
    if file.startswith(_EVIDENCE):
        return  # What models have answered stands there as they said it.
    if control := CONTROL.search(body):
        found = in_words(control[0])
        place = position(body, control.start(), first_line)
        yield Problem(file, *place, "", found, "visible text", "control-character")
    for at, character in find_hidden(body):
        found = in_words(character)
        place = position(body, at, first_line)
        yield Problem(file, *place, "", found, "visible text", "hidden-character")
        break
