"""Results of a large set of examples: numbers in columns, texts put aside until the record is made.

A result with its answer and what the scorers said takes about a kilobyte. Its line in the record's
details is written out once; what is asked of it again and again, after every look of the gate, is
kept in 36 bytes: where that line stands, and what the call cost.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import NamedTuple, overload

from prompt_hub.core.spool import LineSpool
from prompt_hub.evaluation.example_results import ExampleResult, Result, parse_line
from prompt_hub.llm.response import Usage
from prompt_hub.repository.examples import ExampleFacts, ManyExamples
from prompt_hub.repository.schema import Example
from prompt_hub.scoring import ScorerResult

_OF_NO_ARM = '{"arm":""'
"""What lines put aside begin with: whoever measures does not know of arms."""


class _Common(NamedTuple):
    """What many results have in common, kept once for them all."""

    score: float | None
    repeat: int
    error: str | None
    problem: str | None
    cached: bool
    attempts: int
    """0 where no answer came."""
    batch: float | None


class SpooledResult:
    """One answer as `ExampleResult` has it, looked up where it is kept."""

    __slots__ = ("_common", "_place", "_results")

    def __init__(self, results: SpooledResults, place: int, common: _Common) -> None:
        self._results = results
        self._place = place
        self._common = common

    @property
    def id(self) -> str:
        """Of the example."""
        return self._results.examples[self._place].id

    @property
    def score(self) -> float | None:
        """What the answer is worth; None where none came."""
        return self._common.score

    @property
    def repeat(self) -> int:
        """How often the example was asked before."""
        return self._common.repeat

    @property
    def error(self) -> str | None:
        """Why no answer came."""
        return self._common.error

    @property
    def problem(self) -> str | None:
        """Why the answer could not be used as output."""
        return self._common.problem

    @property
    def cached(self) -> bool:
        """Whether an earlier run has paid for it."""
        return self._common.cached

    @property
    def usage(self) -> Usage | None:
        """What the answer took."""
        common = self._common
        if not common.attempts:
            return None
        tokens_in, tokens_out, usd, seconds = self._results.cost(self._place)
        return Usage(
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            usd=None if isnan(usd) else usd,
            seconds=None if isnan(seconds) else seconds,
            attempts=common.attempts,
            batch=common.batch,
        )

    @property
    def answer(self) -> str | None:
        """The text of the answer."""
        return self._results.read(self._place).answer

    @property
    def parts(self) -> tuple[ScorerResult, ...]:
        """What every scorer said."""
        return self._results.read(self._place).parts

    def to_line(self, arm: str) -> str:
        """Return the detail as one line of JSON."""
        return f'{{"arm":"{arm}"{self._results.line(self._place)[len(_OF_NO_ARM) :]}'


class SpooledResults(Sequence[Result]):
    """The results of some examples, in their order, whatever the order in which they come."""

    def __init__(self, examples: Sequence[ExampleFacts]) -> None:
        """Make room for one result of each example; all of them are there before one is read."""
        self.examples = examples
        self._lines = LineSpool()
        self._starts = array("Q", bytes(8 * len(examples)))
        self._usd, self._seconds = (array("d", bytes(8 * len(examples))) for _ in range(2))
        self._tokens_in, self._tokens_out, self._kinds = (
            array("I", bytes(4 * len(examples))) for _ in range(3)
        )
        self._known: dict[_Common, int] = {}
        self._common: list[_Common] = []
        self._last: tuple[int, ExampleResult] | None = None

    def add(self, place: int, result: ExampleResult) -> None:
        """Take the result of the example at `place`."""
        usage = result.usage
        common = _Common(
            score=result.score,
            repeat=result.repeat,
            error=result.error,
            problem=result.problem,
            cached=result.cached,
            attempts=usage.attempts if usage else 0,
            batch=usage.batch if usage else None,
        )
        kind = self._known.setdefault(common, len(self._common))
        if kind == len(self._common):
            self._common.append(common)
        self._kinds[place] = kind
        if usage is not None:
            self._tokens_in[place], self._tokens_out[place] = (
                usage.input_tokens,
                usage.output_tokens,
            )
            self._usd[place] = nan if usage.usd is None else usage.usd
            self._seconds[place] = nan if usage.seconds is None else usage.seconds
        self._starts[place] = self._lines.add(f"{result.to_line('')}\n".encode())

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Result]:
        for place, kind in enumerate(self._kinds):
            yield SpooledResult(self, place, self._common[kind])

    @overload
    def __getitem__(self, place: int) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Result]: ...
    def __getitem__(self, place: int | slice) -> Result | Sequence[Result]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return SpooledResult(self, place, self._common[self._kinds[place]])

    def cost(self, place: int) -> tuple[int, int, float, float]:
        """Return tokens in and out, price and seconds of a call; NaN for what is not known."""
        return (
            self._tokens_in[place],
            self._tokens_out[place],
            self._usd[place],
            self._seconds[place],
        )

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
        return SpooledResults(examples.facts())
    return ListedResults([_NONE_YET] * len(examples))


_NONE_YET = ExampleResult(id="", score=None)
