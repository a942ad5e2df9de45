"""CSV and JSONL as a stream of records; a record that cannot be read does not stop the next one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.prompts.documents import is_text, strict_json

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = {".jsonl", ".ndjson"}


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


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a `.csv`, `.tsv`, `.jsonl` or `.ndjson` file, blank lines left out.

    Raises:
        PromptHubError: the file cannot be opened, has no header, or is of no known kind.
    """
    kind = path.suffix.lower()
    if kind not in {*SEPARATORS, *JSON_LINES}:
        known = ", ".join([*SEPARATORS, *sorted(JSON_LINES)])
        raise PromptHubError(f"{path}: the ending {kind!r} is not one of {known}.")
    try:
        yield from _json_lines(path) if kind in JSON_LINES else _table(path, SEPARATORS[kind])
    except OSError as error:
        raise PromptHubError(f"{path} cannot be read: {error.strerror}.") from None


def _table(path: Path, separator: str) -> Iterator[Record]:
    # Bytes that are no UTF-8 come through as surrogates, so that only their own record is refused.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator, strict=True)
        header = _header(path, reader)
        number = 0
        while True:
            line = reader.line_num + 1
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
            if problem is None and not all(map(is_text, cells)):
                cells, problem = [], "not UTF-8 text"
            if problem is None and len(cells) != len(header):
                problem = f"{len(cells)} cells, where the header has {len(header)}"
            yield Record(number, line, header[: len(cells)], tuple(cells[: len(header)]), problem)


def _header(path: Path, reader: Iterator[list[str]]) -> tuple[str, ...]:
    try:
        header = next((row for row in reader if row), None)
    except csv.Error as error:
        raise _no_header(path, str(error)) from None
    if header is None or not all(map(is_text, header)):
        raise _no_header(path, "the file is empty" if header is None else "it is not UTF-8 text")
    return tuple(name.strip() for name in header)


def _no_header(path: Path, reason: str) -> PromptHubError:
    return PromptHubError(
        f"{path} has no header that can be read: {reason}.",
        hint="The first line must name the columns, in UTF-8.",
        exit_code=ExitCode.BLOCKED,
    )


def _json_lines(path: Path) -> Iterator[Record]:
    number = 0
    with path.open("rb") as stream:
        for line, raw in enumerate(stream, start=1):
            if line == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if not raw.strip():
                continue
            number += 1
            try:
                value = strict_json(raw.decode("utf-8"))
            except UnicodeDecodeError:
                yield Record(number, line, (), (), "not UTF-8 text")
            except ValueError as error:
                yield Record(number, line, (), (), f"not JSON: {error}")
            else:
                if isinstance(value, dict):
                    yield Record(number, line, tuple(value), tuple(value.values()))
                else:
                    yield Record(number, line, (), (), "not a JSON object")
