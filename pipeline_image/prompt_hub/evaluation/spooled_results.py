"""Results of a large set of examples: numbers in memory, texts put aside until the record is made.

A result with its answer and what the scorers said takes about a kilobyte; what is asked of it
again and again, after every look of the gate, is the score and what the call cost. The rest is
written out once, as the line that the record's details will have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prompt_hub.core.spool import LineSpool
from prompt_hub.evaluation.example_results import ExampleResult, Result, parse_line
from prompt_hub.llm.response import Usage
from prompt_hub.repository.examples import ExampleFacts
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
    tokens: tuple[int, int] | None
    """None where no answer came."""
    usd: float | None
    attempts: int
    batch: float | None


@dataclass(frozen=True, slots=True)
class SpooledResult:
    """One answer as `ExampleResult` has it; its texts are read from where they were put."""

    id: str
    _seconds: float | None
    _common: _Common
    _spool: ResultSpool
    _start: int

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
        if common.tokens is None:
            return None
        return Usage(
            input_tokens=common.tokens[0],
            output_tokens=common.tokens[1],
            usd=common.usd,
            seconds=self._seconds,
            attempts=common.attempts,
            batch=common.batch,
        )

    @property
    def answer(self) -> str | None:
        """The text of the answer."""
        return self._spool.read(self._start).answer

    @property
    def parts(self) -> tuple[ScorerResult, ...]:
        """What every scorer said."""
        return self._spool.read(self._start).parts

    def to_line(self, arm: str) -> str:
        """Return the detail as one line of JSON."""
        return f'{{"arm":"{arm}"{self._spool.line(self._start)[len(_OF_NO_ARM) :]}'


class ResultSpool:
    """Takes the texts of the results of some examples."""

    def __init__(self, examples: Sequence[ExampleFacts]) -> None:
        self._examples = examples
        self._lines = LineSpool()
        self._common: dict[_Common, _Common] = {}
        self._seconds: dict[float | None, float | None] = {}
        self._last: tuple[int, ExampleResult] | None = None

    def add(self, place: int, result: ExampleResult) -> Result:
        """Take the result of the example at `place`, and return it without its texts."""
        usage = result.usage
        common = _Common(
            score=result.score,
            repeat=result.repeat,
            error=result.error,
            problem=result.problem,
            cached=result.cached,
            tokens=(usage.input_tokens, usage.output_tokens) if usage else None,
            usd=usage.usd if usage else None,
            attempts=usage.attempts if usage else 0,
            batch=usage.batch if usage else None,
        )
        seconds = usage.seconds if usage else 0.0
        return SpooledResult(
            # The same text as the facts have, not another one like it.
            id=self._examples[place].id,
            _seconds=self._seconds.setdefault(seconds, seconds),
            _common=self._common.setdefault(common, common),
            _spool=self,
            _start=self._lines.add(f"{result.to_line('')}\n".encode()),
        )

    def line(self, start: int) -> str:
        """Return the line that begins there, without its end."""
        return self._lines.line(start)[:-1].decode("utf-8")

    def read(self, start: int) -> ExampleResult:
        """Return the whole result whose line begins there."""
        # Answer and parts are asked for one after the other.
        if self._last is None or self._last[0] != start:
            self._last = (start, parse_line(self.line(start)))
        return self._last[1]
