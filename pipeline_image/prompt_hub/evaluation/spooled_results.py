"""Results of a large set of examples: sums and scores in memory, lines put aside for the record.

A result with its answer and what the scorers said takes about a kilobyte. Its line in the record's
details is written out once, and in memory are its score and where that line stands: 16 bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import isnan, nan
from typing import overload

from prompt_hub.core.spool import LineSpool
from prompt_hub.evaluation.answer_sums import AnswerSums, SummedResults
from prompt_hub.evaluation.example_results import ExampleResult, Result, parse_line
from prompt_hub.llm.response import Usage
from prompt_hub.repository.many_examples import ManyExamples
from prompt_hub.repository.schema import Example
from prompt_hub.scoring import ScorerResult

_OF_NO_ARM = '{"arm":""'
"""What lines put aside begin with: whoever measures does not know of arms."""


class SpooledResult:
    """One answer as `ExampleResult` has it, read again from its line where it is looked at."""

    __slots__ = ("_place", "_results")

    def __init__(self, results: SpooledResults, place: int) -> None:
        self._results = results
        self._place = place

    @property
    def id(self) -> str:
        """Of the example."""
        return self._read.id

    @property
    def score(self) -> float | None:
        """What the answer is worth; None where none came."""
        return self._results.score(self._place)

    @property
    def repeat(self) -> int:
        """How often the example was asked before."""
        return self._read.repeat

    @property
    def error(self) -> str | None:
        """Why no answer came."""
        return self._read.error

    @property
    def problem(self) -> str | None:
        """Why the answer could not be used as output."""
        return self._read.problem

    @property
    def cached(self) -> bool:
        """Whether an earlier run has paid for it."""
        return self._read.cached

    @property
    def usage(self) -> Usage | None:
        """What the answer took."""
        return self._read.usage

    @property
    def answer(self) -> str | None:
        """The text of the answer."""
        return self._read.answer

    @property
    def parts(self) -> tuple[ScorerResult, ...]:
        """What every scorer said."""
        return self._read.parts

    @property
    def _read(self) -> ExampleResult:
        return self._results.read(self._place)

    def to_line(self, arm: str) -> str:
        """Return the detail as one line of JSON."""
        return f'{{"arm":"{arm}"{self._results.line(self._place)[len(_OF_NO_ARM) :]}'


class SpooledResults(SummedResults):
    """The results of some examples, in their order, whatever the order in which they come."""

    def __init__(self, size: int) -> None:
        """Make room for one result of each example; all of them are there before one is read."""
        self.sums = AnswerSums()
        self._lines = LineSpool()
        self._starts, self._scores = array("Q", [0]) * size, array("d", [nan]) * size
        self._last: tuple[int, ExampleResult] | None = None

    def add(self, place: int, result: ExampleResult) -> None:
        """Take the result of the example at `place`."""
        self.sums.add(place, result)
        if result.score is not None:
            self._scores[place] = result.score
        self._starts[place] = self._lines.add(f"{result.to_line('')}\n".encode())

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Result]: ...
    def __getitem__(self, place: int | slice) -> Result | Sequence[Result]:
        every = range(len(self))[place]
        if isinstance(every, range):
            return [SpooledResult(self, each) for each in every]
        return SpooledResult(self, every)

    def score(self, place: int) -> float | None:
        """Return what an answer is worth; None where none came."""
        score = self._scores[place]
        return None if isnan(score) else score

    def line(self, place: int) -> str:
        """Return the line of a result, without its end."""
        return self._lines.line(self._starts[place])[:-1].decode("utf-8")

    def read(self, place: int) -> ExampleResult:
        """Return the whole result at a place."""
        # Answer and parts are asked for one after the other.
        if self._last is None or self._last[0] != place:
            self._last = (place, parse_line(self.line(place)))
        return self._last[1]


class ListedResults(list[Result]):
    """The results of a few examples, as they are."""

    def add(self, place: int, result: Result) -> None:
        """Take the result of the example at `place`."""
        self[place] = result


def room_for(examples: Sequence[Example]) -> SpooledResults | ListedResults:
    """Return room for one result of each example, to be taken in any order."""
    if isinstance(examples, ManyExamples):
        return SpooledResults(len(examples))
    return ListedResults([_NONE_YET] * len(examples))


_NONE_YET = ExampleResult(id="", score=None)
