"""Example files: a million lines are read as strictly as one, and none is kept longer than needed.

A line that is beyond doubt is parsed and checked in one step. Every other is read by the strict
reader, which finds what is wrong with it and where; both read the same examples.

The lines of a large set are put aside, as they were read (`many_examples.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from io import BufferedReader, FileIO
from itertools import islice
from math import isfinite
from typing import IO, TYPE_CHECKING

from pydantic import JsonValue

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.json_strict import MAX_DEPTH, strict_json
from prompt_hub.core.spool import LineSpool
from prompt_hub.repository.documents import (
    Document,
    InvalidDocumentsError,
    Problem,
    decoded,
    to_model,
)
from prompt_hub.repository.json import json_problems, line_document, lines_of
from prompt_hub.repository.many_examples import KeptLines, ManyExamples, NumberedExamples
from prompt_hub.repository.schema import Example

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FEW = 4096
"""So many examples are kept in memory; of a set of more, the lines are put aside."""

_HASHED_TOGETHER = 256
"""Examples that are written out at once: few enough to be held twice."""

PIECE = 1 << 20
"""Bytes of a large file that are in memory at once, or a few more: lines are whole."""


class ExampleLines:
    """The lines of an example file, for saying where in them something is."""

    def __init__(self, text: str, file: str) -> None:
        """Keep the text; it is cut into lines when the first one is asked for."""
        self._text = text
        self._file = file

    @cached_property
    def _lines(self) -> Sequence[str]:
        return self._text.split("\n")

    def document(self, line: int) -> Document:
        """Return the document on a line that could be read; of a blank one just the place."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        if not text.strip():
            return Document(self._file, None, {(): (line, 1)})
        return line_document(text, self._file, line, None)


def parse_examples(text: str, file: str) -> tuple[list[tuple[int, Example]], list[Problem]]:
    """Return every good example with its line, and what is wrong with the others.

    What is no example comes first, then what is no JSON, each in the order of lines.
    """
    examples: list[tuple[int, Example]] = []
    reader = _LineReader(file)
    for number, line in enumerate(lines_of(text), start=1):
        example = reader.read(line, number)
        if example is not None:
            examples.append((number, example))
    return examples, reader.problems


def read_examples(stream: IO[bytes], file: str) -> NumberedExamples:
    """Return the examples in a file with their lines, in its order.

    They stay what they were when they were read, whatever becomes of the file.

    Raises:
        InvalidDocumentsError: with all that is wrong with it, in the order of lines.
    """
    copy = LineSpool()

    def lines() -> Iterator[bytes]:
        while piece := stream.readlines(PIECE):
            copy.add(b"".join(piece))
            yield from piece

    return _scanned(lines(), file, copy.line)


def read_example_file(stream: IO[bytes], file: str) -> NumberedExamples:
    """Return the examples in a file that nobody should change; it stays open while they are needed.

    Raises as `read_examples` does. Where somebody changes the file, whoever looks at an example
    again is told so by a `PromptHubError`, NOT_MEASURED: it may be another one.
    """
    # Behind the scan it alone reads: both have one place in the file.
    again = BufferedReader(_UnchangedFile(stream, file))

    def line(start: int) -> bytes:
        again.seek(start)
        return again.readline()

    return _scanned(stream, file, line)


class _UnchangedFile(FileIO):
    """The bytes of an open file for as long as nobody has written into it.

    A file that replaces it is no change. What is read at once is looked at once: lines are many.
    """

    def __init__(self, stream: IO[bytes], file: str) -> None:
        super().__init__(stream.fileno(), closefd=False)
        self._stream = stream  # which closes the file when nobody needs it
        self._file = file
        self._was = self._size_and_time()

    def _size_and_time(self) -> tuple[int, int]:
        status = os.fstat(self.fileno())
        return status.st_size, status.st_mtime_ns

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read a piece, and raise `PromptHubError` where it may be another one than it was."""
        count = super().readinto(buffer)
        if self._size_and_time() != self._was:
            raise PromptHubError(
                f"{self._file}: its examples were changed while they were read.",
                hint="Run the same command again.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        return count


def _scanned(stream: Iterable[bytes], file: str, line: Callable[[int], bytes]) -> NumberedExamples:
    """Look at each line: the examples, of which no more than a few are kept."""
    few: list[Example] = []
    lines = KeptLines(file, line)
    for example, number, start, beyond_doubt in _read(stream, file):
        if len(few) < FEW:
            few.append(example)
        lines.add(example, number, start, is_doubtful=not beyond_doubt)
    every = range(len(lines.facts))
    return NumberedExamples(tuple(few) if len(every) <= FEW else ManyExamples(lines, every), lines)


def stream_examples(lines: Iterable[bytes], file: str) -> Iterator[Example]:
    """Yield the examples on the lines of a file; none is kept.

    Raises `InvalidDocumentsError` behind the last one, as `read_examples` does.
    """
    return (example for example, *_ in _read(lines, file))


def _read(lines: Iterable[bytes], file: str) -> Iterator[tuple[Example, int, int, bool]]:
    """Yield each example, number and start of its line, and whether that is beyond doubt."""
    reader = _LineReader(file)
    start = 0
    for number, line in enumerate(lines, start=1):
        text = decoded(line, file, number).removesuffix("\n")
        example = reader.read(text, number)
        if example is not None:
            yield example, number, start, reader.was_beyond_doubt
        start += len(line)
    if reader.problems:
        raise InvalidDocumentsError(
            sorted(reader.problems, key=lambda problem: (problem.line, problem.column))
        )


class _LineReader:
    """Reads line by line, and remembers what is wrong with those that hold no example."""

    def __init__(self, file: str) -> None:
        self.was_beyond_doubt = False
        """Whether the last example was read in one step."""
        self._file = file
        self._unfit: list[Problem] = []
        self._unread: list[Problem] = []

    @property
    def problems(self) -> list[Problem]:
        """What is no example comes first, then what is no JSON, each in the order of lines."""
        return self._unfit + self._unread

    def read(self, line: str, number: int) -> Example | None:
        """Return the example on a line, None on a blank one and where something is wrong."""
        if not line or line.isspace():
            return None
        example = _beyond_doubt(line)
        self.was_beyond_doubt = example is not None
        if example is not None:
            return example
        try:
            return to_model(line_document(line, self._file, number, strict_json(line)), Example)
        except InvalidDocumentsError as error:
            self._unfit += error.problems
        except ValueError as error:
            self._unread += json_problems(line, self._file, number, error)
        return None


def examples_sha256(examples: Iterable[Example]) -> str:
    """Hash of an example set, independent of spacing and key order.

    It is that of the list of all examples, taken piece by piece: a large set is not held twice.
    """
    whole = hashlib.sha256(b"[")
    # Fields as `model_dump` has them: the values are JSON already.
    rest = iter(examples)
    between = b""
    while some := [vars(example) for example in islice(rest, _HASHED_TOGETHER)]:
        whole.update(between + _CANONICAL.encode(some)[1:-1].encode("utf-8"))
        between = b","
    whole.update(b"]")
    return whole.hexdigest()


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
"""Writes what `canonical` does, made once."""


def _beyond_doubt(line: str) -> Example | None:
    """Return the example on a line, None where the strict reader might have something to say.

    The fast parser takes NaN and a key given twice, and nests deeper. A line that may have any of
    these is left to the strict one, and so is an escape, behind which a colon can stand.
    """
    if "\\u" in line:
        return None
    try:
        # What `model_validate_json` asks, without its own quarter of the time for a line.
        validator = Example.__pydantic_validator__
        example: Example = validator.validate_json(line, by_alias=True, by_name=False)
    except ValueError:
        return None
    # Every member has a colon, and so may texts: where all are accounted for, no member was
    # dropped because a later one has its name.
    colons = line.count(":") - len(example.model_fields_set)
    inside: list[JsonValue] = [example.input, example.expected]
    for value in inside:  # which grows on the way
        if type(value) is dict:
            colons -= len(value)
            members: Iterable[JsonValue] = value.values()
        else:
            assert type(value) is list
            members = value
        for member in members:
            if type(member) is str:
                continue
            if isinstance(member, dict | list):
                inside.append(member)
            elif isinstance(member, float) and not isfinite(member):
                return None
    if len(inside) > 2 and line.count("{") + line.count("[") > MAX_DEPTH:
        return None
    return example if colons == 0 or colons == _colons_in_texts(example, inside) else None


def _colons_in_texts(example: Example, inside: Iterable[JsonValue]) -> int:
    """Count the colons in names and values of an example, whose containers are `inside`."""
    texts: list[JsonValue] = [example.id, example.split, *example.tags]
    for value in inside:
        if isinstance(value, dict):
            texts += value
            texts += value.values()
        elif isinstance(value, list):
            texts += value
    return sum(text.count(":") for text in texts if isinstance(text, str))
