"""CSV and JSONL as a stream of records; a record that cannot be read does not stop the next one.

In a table a record may have several lines, by line ends inside quotes. One that is broken takes
only its first line along: the next line begins a record again. So a quote that was never closed
costs its own record, not all up to the next quote. What cannot be told apart is a stray quote in a
later line that happens to close it where a cell may end, in a record as wide as the header: that
is one record by all rules of CSV, and is read as one.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.json_strict import strict_json

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = {".jsonl", ".ndjson"}
LONGEST = 131_072
"""Characters of a record of several lines, as of one cell: what a quote left open may swallow."""

_ODD = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Record:
    """One record as it came: its number and line (from 1), its columns and their values.

    `problem` says why it could not be read; columns and values are then what could be.
    """

    number: int
    line: int
    columns: tuple[str, ...]
    values: tuple[JsonValue, ...]
    problem: str | None = None


def header_of(path: Path) -> tuple[str, ...] | None:
    """Return the columns of a table; None for JSON lines, where every record names its own.

    Raises:
        PromptHubError: as `read_records`.
    """
    with _opened(path) as stream:
        separator = SEPARATORS.get(path.suffix.lower())
        return _header(path, _reader(_Lines(stream), separator)) if separator else None


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a `.csv`, `.tsv`, `.jsonl` or `.ndjson` file, blank lines left out.

    Raises:
        PromptHubError: the file cannot be opened, is UTF-16, has no header, or is of no known kind.
    """
    with _opened(path) as stream:
        separator = SEPARATORS.get(path.suffix.lower())
        yield from _table(path, stream, separator) if separator else _json_lines(stream)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    kind = path.suffix.lower()
    if kind not in {*SEPARATORS, *JSON_LINES}:
        known = ", ".join([*SEPARATORS, *sorted(JSON_LINES)])
        raise PromptHubError(f"{path}: the ending {kind!r} is not one of {known}.")
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
            if b"\0" in start or start[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
                raise PromptHubError(
                    f"{path} is UTF-16, or no text at all.",
                    hint="Save it as UTF-8.",
                    exit_code=ExitCode.BLOCKED,
                )
            stream.seek(0)
            yield stream
    except OSError as error:
        raise PromptHubError(f"{path} cannot be read: {error.strerror}.") from None


def _reader(lines: _Lines, separator: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=separator, strict=True)


def _table(path: Path, stream: BinaryIO, separator: str) -> Iterator[Record]:
    lines = _Lines(stream)
    reader = _reader(lines, separator)
    header = _header(path, reader)
    number = 0
    while True:
        lines.begin_record()
        first = lines.number + 1
        problem = None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells, problem = [], f"broken quoting or cell: {error}"
        if not cells and problem is None:
            continue
        number += 1
        if problem is None and (odd := _no_text(cells)):
            cells, problem = [], odd
        if problem is None and len(cells) != len(header):
            problem = f"{len(cells)} cells, where the header has {len(header)}"
        if problem is not None and lines.number > first:
            cells, problem = [], f"{problem} (a quoted cell runs on to line {lines.number})"
            lines.put_back()
        yield Record(number, first, header[: len(cells)], tuple(cells[: len(header)]), problem)


class _Lines:
    """The lines that `csv.reader` draws; those behind the first of a record can be put back."""

    def __init__(self, stream: BinaryIO) -> None:
        # Bytes that are no UTF-8 come through as surrogates: only their own record is refused.
        self._text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        self._again: list[str] = []
        self._drawn: list[str] = []
        self._room = LONGEST
        self.number = 0
        """Of the line that was drawn last, from 1."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._room < 0:
            raise csv.Error(f"more than {LONGEST} characters in a record of several lines")
        line = self._again.pop() if self._again else next(self._text)
        if self._drawn:
            self._room -= len(line)
        self._drawn.append(line)
        self.number += 1
        return line

    def begin_record(self) -> None:
        """Note that the next line is the first of a record."""
        self._drawn.clear()
        self._room = LONGEST

    def put_back(self) -> None:
        """Every line but the first of this record is drawn again."""
        self._again += reversed(self._drawn[1:])
        self.number -= len(self._drawn) - 1


def _header(path: Path, reader: Iterator[list[str]]) -> tuple[str, ...]:
    try:
        header = next((row for row in reader if row), None)
    except csv.Error as error:
        raise _no_header(path, str(error)) from None
    if header is None:
        raise _no_header(path, "the file is empty")
    if odd := _no_text(header):
        raise _no_header(path, odd)
    return tuple(name.strip() for name in header)


def _no_header(path: Path, reason: str) -> PromptHubError:
    return PromptHubError(
        f"{path} has no header that can be read: {reason}.",
        hint="The first line must name the columns, in UTF-8.",
        exit_code=ExitCode.BLOCKED,
    )


def _no_text(cells: list[str]) -> str:
    """Why these cells are not all text; empty if they are."""
    odd = _ODD.search("".join(cells))
    if odd is None:
        return ""
    return "a NUL character, which no text has" if odd[0] == "\0" else "not UTF-8 text"


def _json_lines(stream: BinaryIO) -> Iterator[Record]:
    number = 0
    for line, raw in enumerate(stream, start=1):
        if line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if not raw.strip():
            continue
        number += 1
        try:
            value = strict_json(raw.decode("utf-8"))
        except UnicodeDecodeError:
            yield Record(number, line, (), (), "not UTF-8 text")
        except json.JSONDecodeError as error:
            reason = f"not JSON: {error.msg} at character {error.pos + 1}"
            yield Record(number, line, (), (), reason)
        except ValueError as error:
            yield Record(number, line, (), (), f"not JSON: {error}")
        else:
            if isinstance(value, dict):
                yield Record(number, line, tuple(value), tuple(value.values()))
            else:
                yield Record(number, line, (), (), "not a JSON object")
