"""Examples of a file that is too large for memory: facts in columns, texts elsewhere.

An example in memory takes six times the room of its line. So the lines of a large set stay where
they are, and each example is read from its line whenever it is asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.documents import Document
from prompt_hub.repository.json import line_document
from prompt_hub.repository.schema import Example


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
        self.weights = array("d")
        self._kinds = array("I")
        self._known: dict[tuple[tuple[str, ...], str], int] = {}
        """The number of each pair of tags and split."""
        self._pairs: list[tuple[tuple[str, ...], str]] = []

    def __len__(self) -> int:
        return len(self.weights)

    def add(self, example: Example) -> None:
        """Take the facts of the next example."""
        self._ids += example.id.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._ids))
        self.weights.append(example.weight)
        pair = (example.tags, example.split)
        kind = self._known.setdefault(pair, len(self._pairs))
        if kind == len(self._pairs):
            self._pairs.append(pair)
        self._kinds.append(kind)

    def at(self, place: int) -> ExampleFacts:
        """Return the facts of the example at a place."""
        name = self._ids[self._ends[place] : self._ends[place + 1]]
        tags, split = self._pairs[self._kinds[place]]
        return ExampleFacts(name.decode("utf-8", "surrogatepass"), self.weights[place], tags, split)


class ManyFacts(Sequence[ExampleFacts]):
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
    def __getitem__(self, place: slice) -> ManyFacts: ...
    def __getitem__(self, place: int | slice) -> ExampleFacts | ManyFacts:
        if isinstance(place, slice):
            return ManyFacts(self._columns, self._chosen[place])
        return self._columns.at(self._chosen[place])

    @property
    def weights(self) -> Sequence[float]:
        """The weight of each; those of a whole file are not copied."""
        every = self._columns.weights
        if self._chosen == range(len(every)):
            return every
        return array("d", (every[place] for place in self._chosen))


class KeptLines:
    """All examples of one file: facts in memory, texts elsewhere."""

    def __init__(self, file: str, line: Callable[[int], bytes]) -> None:
        """Begin with none; `line` reads the line that begins somewhere."""
        self.facts = _FactColumns()
        self._file = file
        self._line = line
        self._starts = array("Q")
        """Where in the text the line of each example begins."""
        self._doubtful = bytearray()
        """Whether the strict reader had to read it."""
        self._gaps = array("I")
        """Of each line without an example, how many examples stand before it."""

    def add(self, example: Example, number: int, start: int, *, is_doubtful: bool) -> None:
        """Take the next example, and where its line is."""
        place = len(self._starts)
        gaps = number - 1 - place - len(self._gaps)
        if gaps:
            self._gaps.extend([place] * gaps)
        self._starts.append(start)
        self._doubtful.append(is_doubtful)
        self.facts.add(example)

    def number(self, place: int) -> int:
        """Return the number of the line of the example at a place."""
        return place + 1 + bisect_right(self._gaps, place)

    def read(self, place: int) -> Example:
        """Read the example at a place again from its line."""
        line = self._line(self._starts[place])
        if self._doubtful[place]:
            data = strict_json(line.decode("utf-8"))
            return Example.model_validate(data, by_alias=True, by_name=False)
        # As `examples.py` has read it: rules read a set half a dozen times.
        validator = Example.__pydantic_validator__
        example: Example = validator.validate_json(line, by_alias=True, by_name=False)
        return example

    def document(self, line: int) -> Document:
        """Return the document on a line; of one without an example just the place."""
        every = range(len(self._starts))
        place = bisect_left(every, line, key=self.number)
        if place == len(every) or self.number(place) != line:
            return Document(self._file, None, {(): (line, 1)})
        text = self._line(self._starts[place]).decode("utf-8").removesuffix("\n")
        return line_document(text, self._file, line, None)


class ManyExamples(Sequence[Example]):
    """Some examples of a file, each read again from its line whenever it is asked for."""

    def __init__(self, lines: KeptLines, chosen: Sequence[int]) -> None:
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
        return self._lines.read(self._chosen[place])

    def facts(self) -> ManyFacts:
        """Return the facts of each; none is read for it."""
        return ManyFacts(self._lines.facts, self._chosen)

    def at(self, places: Iterable[int]) -> ManyExamples:
        """Return those at `places`, in that order; none is read for it."""
        if isinstance(places, memoryview) and self._chosen == range(len(self._lines.facts)):
            return ManyExamples(self._lines, places)  # An order of a whole file is no copy.
        chosen = array("I", (self._chosen[place] for place in places))
        # A part of what is chosen is no copy of it.
        return ManyExamples(self._lines, memoryview(chosen))


class NumberedExamples(Sequence[tuple[int, Example]]):
    """The examples of a file, each with the number of its line."""

    def __init__(self, examples: Sequence[Example], lines: KeptLines) -> None:
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
        return self._lines.number(range(len(self))[place]), self.examples[place]

    def __iter__(self) -> Iterator[tuple[int, Example]]:
        return zip(self._numbers(), self.examples, strict=True)

    def facts(self) -> Iterator[tuple[int, ExampleFacts]]:
        """Yield the facts of each, and the number of its line; no line is read for it."""
        return zip(self._numbers(), facts_of(self.examples), strict=True)

    def document(self, line: int) -> Document:
        """Return the document on a line, for saying where in it something is."""
        return self._lines.document(line)

    def _numbers(self) -> Iterator[int]:
        return map(self._lines.number, range(len(self)))


def pick(examples: Sequence[Example], places: Iterable[int]) -> Sequence[Example]:
    """Return the examples at `places`, in that order."""
    if isinstance(examples, ManyExamples):
        return examples.at(places)
    return tuple(examples[place] for place in places)


def numbered_facts(
    examples: Sequence[tuple[int, Example]],
) -> Iterable[tuple[int, Example | ExampleFacts]]:
    """Return what examples are without their texts, with the numbers of their lines."""
    return examples.facts() if isinstance(examples, NumberedExamples) else examples


def facts_of(examples: Sequence[Example]) -> Sequence[ExampleFacts]:
    """Return the facts of each example."""
    if isinstance(examples, ManyExamples):
        return examples.facts()
    return [ExampleFacts.of(example) for example in examples]


def named(examples: Sequence[Example], ids: Container[str]) -> dict[str, Example]:
    """Return the examples with these ids, in their order; no other one is read."""
    places = (place for place, each in enumerate(facts_of(examples)) if each.id in ids)
    return {example.id: example for example in pick(examples, places)}
