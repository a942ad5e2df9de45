"""CSV and JSONL as a stream of records; a record that cannot be read does not stop the next one.

In a table a record may have several lines, by line ends inside quotes. One that is broken takes
only its first line along: the next line begins a record again. So a quote that was never closed
costs its own record, not all up to the next quote. What cannot be told apart is a stray quote in a
later line that happens to close it where a cell may end, in a record as wide as the header: that
is one record by all rules of CSV, and is read as one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.batch.cells import is_blank
from prompt_hub.batch.layout import Layout, find_layout, lines_of, not_text, open_text
from prompt_hub.core.json_strict import strict_json, without_place
from prompt_hub.core.wording import count
from prompt_hub.repository.schema import Records

LONGEST = 131_072
"""Characters of a record of several lines, as of one cell: what a quote left open may swallow."""


@dataclass(frozen=True)
class Record:
    """One record as it came: its number and line (from 1), its columns and their values.

    `problem` says why it could not be read; columns and values are then what could be. The line is
    0 where it is no longer known.
    """

    number: int
    line: int
    columns: tuple[str, ...]
    values: tuple[JsonValue, ...]
    problem: str | None = None

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"line {self.line}" if self.line else f"record {self.number}"

    @property
    def blank(self) -> bool:
        """Whether it says nothing at all: a row of separators, or an object of nothing."""
        return self.problem is None and all(map(is_blank, self.values))


def read_records(path: Path, layout: Layout | None = None) -> Iterator[Record]:
    """Yield the records of a file, blank lines left out; `layout` is by its ending if not given.

    Raises:
        PromptHubError: the file cannot be opened; without a layout also what `find_layout` raises.
    """
    layout = layout or find_layout(path, Records())
    if layout.header is None:
        with open_text(path, layout.encoding, newline="\n") as stream:
            yield from _json_lines(lines_of(stream, path), layout)
        return
    with open_text(path, layout.encoding) as stream:
        yield from _table(lines_of(stream, path), layout, layout.header)


def _table(stream: Iterator[str], layout: Layout, header: tuple[str, ...]) -> Iterator[Record]:
    lines = _Lines(stream, layout.comment)
    for _ in range(layout.header_line - 1):
        lines.skip()
    reader = csv.reader(
        lines, delimiter=layout.separator, strict=True, skipinitialspace=layout.spaced
    )
    next(reader)  # the header
    number = 0
    while True:
        lines.begin_record()
        problem = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells, problem = [], f"broken quoting or cell: {error}"
        first = lines.first
        if not cells and problem is None:
            continue
        number += 1
        if problem is None and (odd := not_text("".join(cells), layout.encoding)):
            cells, problem = [], odd
        if problem is None:
            cells = _of_width(cells, header)
        if problem is None and len(cells) != len(header):
            problem = f"{count(len(cells), 'cell')}, where the header has {len(header)}"
        if problem is not None and lines.number > first:
            cells, problem = [], f"{problem} (a quoted cell runs on to line {lines.number})"
            lines.put_back()
        yield Record(number, first, header[: len(cells)], tuple(cells[: len(header)]), problem)


def _of_width(cells: list[str], header: tuple[str, ...]) -> list[str]:
    """Give a row the width of its header, where only cells that say nothing make the difference.

    Those are empty ones at the end of the row, under columns without a name, or all of them.
    """
    width = len(header)
    if len(cells) != width and all(map(is_blank, cells)):
        return [""] * width
    if all(map(is_blank, cells[width:])) and not any(header[len(cells) :]):
        return cells[:width] + [""] * (width - len(cells))
    return cells


class _Lines:
    """The lines that `csv.reader` draws; those behind the first of a record can be put back."""

    def __init__(self, text: Iterator[str], comment: str | None) -> None:
        self._text = text
        self._comment = comment
        self._again: list[str] = []
        self._drawn: list[str] = []
        self._room = LONGEST
        self.number = 0
        """Of the line that was drawn last, from 1."""
        self.first = 0
        """Of the first line of this record."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._room < 0:
            raise csv.Error(f"more than {LONGEST} characters in a record of several lines")
        line = self._draw()
        while not self._drawn and self._comment and line.startswith(self._comment):
            self.number += 1
            line = self._draw()
        if self._drawn:
            self._room -= len(line)
        self.number += 1
        if not self._drawn:
            self.first = self.number
        self._drawn.append(line)
        return line

    def _draw(self) -> str:
        return self._again.pop() if self._again else next(self._text)

    def skip(self) -> None:
        """Leave out the next line."""
        self._draw()
        self.number += 1

    def begin_record(self) -> None:
        """Note that the next line is the first of a record."""
        self._drawn.clear()
        self._room = LONGEST

    def put_back(self) -> None:
        """Every line but the first of this record is drawn again."""
        self._again += reversed(self._drawn[1:])
        self.number -= len(self._drawn) - 1


def _json_lines(stream: Iterator[str], layout: Layout) -> Iterator[Record]:
    number = 0
    for line, text in enumerate(stream, start=1):
        if not text.strip() or (layout.comment and text.startswith(layout.comment)):
            continue
        number += 1
        if odd := not_text(text.replace("\0", " "), layout.encoding):
            yield Record(number, line, (), (), odd)
            continue
        try:
            value = strict_json(text)
        except json.JSONDecodeError as error:
            reason = f"not JSON: {without_place(error)} at character {error.pos + 1}"
            yield Record(number, line, (), (), reason)
        except ValueError as error:
            yield Record(number, line, (), (), f"not JSON: {error}")
        else:
            if isinstance(value, dict):
                yield Record(number, line, tuple(value), tuple(value.values()))
            else:
                yield Record(number, line, (), (), "not a JSON object")
