"""Example files: a million lines are read as strictly as one, and none is kept longer than needed.

A line that is beyond doubt is parsed and checked in one step. Every other is read by the strict
reader, which finds what is wrong with it and where; both read the same examples.

An example in memory takes six times the room of its line. So the lines of a large set are put
aside, as they were read, and each example is read from its line whenever it is asked for.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import cached_property
from io import BytesIO
from itertools import islice
from math import isfinite
from typing import IO, NamedTuple, overload

from pydantic import JsonValue

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
from prompt_hub.repository.schema import Example

FEW = 4096
"""So many examples are kept in memory; of a set of more, the lines are put aside."""

_HASHED_TOGETHER = 256
"""Examples that are written out at once: few enough to be held twice."""


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


def read_examples(raw: bytes, file: str) -> Sequence[Example]:
    """Return the examples in the bytes of a file, in its order.

    Raises:
        InvalidDocumentsError: with all that is wrong with it, in the order of lines.
    """
    decoded(raw, file)  # Says where in the file a byte is no UTF-8.
    few, lines = _scanned(BytesIO(raw), file)
    if len(lines.facts) <= FEW:
        return tuple(few)
    text = LineSpool()
    text.add(raw)
    lines.line = text.line
    return ManyExamples(lines, range(len(lines.facts)))


def read_example_file(stream: IO[bytes], file: str) -> NumberedExamples:
    """Return the examples in a file with their lines, which stays open while they are needed.

    It is read line by line, so that its size is no matter. Raises as `read_examples` does.
    """
    few, lines = _scanned(stream, file)
    if len(lines.facts) <= FEW:
        return NumberedExamples(tuple(few), lines)

    def line(start: int) -> bytes:
        stream.seek(start)
        return stream.readline()

    lines.line = line
    every = range(len(lines.facts))
    return NumberedExamples(ManyExamples(lines, every), lines)


def _scanned(stream: IO[bytes], file: str) -> tuple[list[Example], _KeptLines]:
    """Look at each line; the first few examples, and where all of them are."""
    few: list[Example] = []
    lines = _KeptLines()
    for example, number, start, beyond_doubt in _read(stream, file):
        if len(few) < FEW:
            few.append(example)
        if not beyond_doubt:
            lines.doubtful.add(start)
        lines.starts.append(start)
        lines.numbers.append(number)
        lines.facts.add(example)
    return few, lines


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
        try:
            text = line.decode("utf-8").removesuffix("\n")
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x}"
            place = (file, number, len(line[: error.start].decode("utf-8")) + 1)
            problem = Problem(*place, "", found, "UTF-8 text", "utf-8")
            raise InvalidDocumentsError([problem]) from None
        example = reader.read(text, number)
        if example is not None:
            yield example, number, start, reader.was_beyond_doubt
        start += len(line)
    if reader.problems:
        raise InvalidDocumentsError(
            sorted(reader.problems, key=lambda problem: (problem.line, problem.column))
        )


class ExampleFacts(NamedTuple):
    """What an example is to whoever does not read its texts."""

    id: str
    weight: float
    tags: tuple[str, ...]
    split: str

    @classmethod
    def of(cls, example: Example) -> ExampleFacts:
        """Return the facts of an example."""
        return cls(example.id, example.weight, example.tags, example.split)


class _FactColumns:
    """The facts of all examples of a file, in columns: as objects they take four times as much."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._ends = array("Q", [0])
        """Where in them an id ends, and the next one begins."""
        self._weights = array("d")
        self._kinds = array("I")
        self._known: dict[tuple[tuple[str, ...], str], int] = {}
        """The number of each pair of tags and split."""
        self._pairs: list[tuple[tuple[str, ...], str]] = []

    def __len__(self) -> int:
        return len(self._weights)

    def add(self, example: Example) -> None:
        """Take the facts of the next example."""
        self._ids += example.id.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._ids))
        self._weights.append(example.weight)
        pair = (example.tags, example.split)
        kind = self._known.setdefault(pair, len(self._pairs))
        if kind == len(self._pairs):
            self._pairs.append(pair)
        self._kinds.append(kind)

    def at(self, place: int) -> ExampleFacts:
        """Return the facts of the example at a place."""
        name = self._ids[self._ends[place] : self._ends[place + 1]]
        tags, split = self._pairs[self._kinds[place]]
        return ExampleFacts(
            name.decode("utf-8", "surrogatepass"), self._weights[place], tags, split
        )


class _ManyFacts(Sequence[ExampleFacts]):
    """The facts of some examples of a file, made when they are asked for."""

    def __init__(self, columns: _FactColumns, chosen: Sequence[int]) -> None:
        self._columns = columns
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[ExampleFacts]:
        return map(self._columns.at, self._chosen)

    @overload
    def __getitem__(self, place: int) -> ExampleFacts: ...
    @overload
    def __getitem__(self, place: slice) -> _ManyFacts: ...
    def __getitem__(self, place: int | slice) -> ExampleFacts | _ManyFacts:
        if isinstance(place, slice):
            return _ManyFacts(self._columns, self._chosen[place])
        return self._columns.at(self._chosen[place])


class _KeptLines:
    """All examples of one file: facts in memory, texts elsewhere."""

    line: Callable[[int], bytes]
    """Reads the line that begins there."""

    def __init__(self) -> None:
        self.starts = array("Q")
        """Where in the text the line of each example begins."""
        self.numbers = array("I")
        """The number of that line."""
        self.facts = _FactColumns()
        self.doubtful = set[int]()
        """Where the lines begin that the strict reader had to read."""


class ManyExamples(Sequence[Example]):
    """Some examples of a file, each read again from its line whenever it is asked for."""

    def __init__(self, lines: _KeptLines, chosen: Sequence[int]) -> None:
        """Keep the places of those that are `chosen` from a file's."""
        self._lines = lines
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> ManyExamples: ...
    def __getitem__(self, place: int | slice) -> Example | ManyExamples:
        if isinstance(place, slice):
            return ManyExamples(self._lines, self._chosen[place])
        start = self._lines.starts[self._chosen[place]]
        line = self._lines.line(start)
        if start in self._lines.doubtful:
            data = strict_json(line.decode("utf-8"))
            return Example.model_validate(data, by_alias=True, by_name=False)
        return Example.model_validate_json(line, by_alias=True, by_name=False)

    def facts(self) -> Sequence[ExampleFacts]:
        """Return the facts of each; none is read for it."""
        return _ManyFacts(self._lines.facts, self._chosen)

    def at(self, places: Iterable[int]) -> ManyExamples:
        """Return those at `places`, in that order; none is read for it."""
        chosen = array("I", (self._chosen[place] for place in places))
        # A part of what is chosen is no copy of it.
        return ManyExamples(self._lines, memoryview(chosen))


class NumberedExamples(Sequence[tuple[int, Example]]):
    """The examples of a file, each with the number of its line."""

    def __init__(self, examples: Sequence[Example], lines: _KeptLines) -> None:
        """Keep `examples`, which are all that `lines` knows of."""
        self.examples = examples
        self._lines = lines

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, place: int) -> tuple[int, Example]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[int, Example]]: ...
    def __getitem__(
        self, place: int | slice
    ) -> tuple[int, Example] | Sequence[tuple[int, Example]]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return self._lines.numbers[place], self.examples[place]


def pick(examples: Sequence[Example], places: Iterable[int]) -> Sequence[Example]:
    """Return the examples at `places`, in that order."""
    if isinstance(examples, ManyExamples):
        return examples.at(places)
    return tuple(examples[place] for place in places)


def facts_of(examples: Sequence[Example]) -> Sequence[ExampleFacts]:
    """Return the facts of each example."""
    if isinstance(examples, ManyExamples):
        return examples.facts()
    return [ExampleFacts.of(example) for example in examples]


def named(examples: Sequence[Example], ids: Container[str]) -> dict[str, Example]:
    """Return the examples with these ids, in their order; no other one is read."""
    places = (place for place, each in enumerate(facts_of(examples)) if each.id in ids)
    return {example.id: example for example in pick(examples, places)}


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
