"""The details of a record: one line for each answer, from which the record is summed up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, Protocol

from pydantic import ConfigDict, NonNegativeInt, TypeAdapter, ValidationError

from prompt_hub.evaluation.record import RESTORE
from prompt_hub.gate.types import Scores
from prompt_hub.llm.response import Answer, Usage
from prompt_hub.repository.documents import Document, InvalidDocumentsError, first_of
from prompt_hub.repository.json import parse_jsonl
from prompt_hub.repository.many_examples import ExampleFacts
from prompt_hub.repository.schema import Example, Fraction, JsonObject
from prompt_hub.scoring import ScorerResult, weighted_mean

ArmName = Literal["candidate", "champion"]
ARMS: tuple[ArmName, ...] = ("candidate", "champion")


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredLine:
    """What a line of the details may hold, besides its arm."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    score: Fraction | None
    repeat: NonNegativeInt = 0
    error: str | None = None
    answer: str | None = None
    problem: str | None = None
    parts: tuple[ScorerResult, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    usd: float | None = None
    seconds: float | None = None
    attempts: int = 0
    batch: float | None = None
    cached: bool = False


class Result(Protocol):
    """One answer as it is kept (see `ExampleResult`), wherever its texts are."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def score(self) -> float | None: ...  # noqa: D102
    @property
    def repeat(self) -> int: ...  # noqa: D102
    @property
    def error(self) -> str | None: ...  # noqa: D102
    @property
    def answer(self) -> str | None: ...  # noqa: D102
    @property
    def problem(self) -> str | None: ...  # noqa: D102
    @property
    def parts(self) -> tuple[ScorerResult, ...]: ...  # noqa: D102
    @property
    def usage(self) -> Usage | None: ...  # noqa: D102
    @property
    def cached(self) -> bool: ...  # noqa: D102

    def to_line(self, arm: str) -> str:
        """Return the detail as one line of JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleResult:
    """One answer as it is kept: the text, what every scorer said, what it cost.

    `problem` says why the answer could not be used as output; it was given and is worth nothing.
    `score` is None and `error` says why where no answer came.
    """

    id: str
    score: float | None
    repeat: int = 0
    error: str | None = None
    answer: str | None = None
    problem: str | None = None
    parts: tuple[ScorerResult, ...] = ()
    usage: Usage | None = None
    """None where no answer came."""
    cached: bool = False

    @classmethod
    def of(
        cls, example: str, repeat: int, answer: Answer, parts: Sequence[ScorerResult]
    ) -> ExampleResult:
        """Keep what matters of an answer to an example, and of what every scorer said about it."""
        return cls(
            id=example,
            score=weighted_mean(parts),
            repeat=repeat,
            answer=answer.response.text,
            problem=answer.problem,
            parts=tuple(parts),
            usage=answer.response.usage,
            cached=answer.cached,
        )

    @classmethod
    def from_line(cls, line: _StoredLine) -> ExampleResult:
        """Take the detail from a line without its arm."""
        usage = Usage(
            input_tokens=line.tokens[0],
            output_tokens=line.tokens[1],
            usd=line.usd,
            seconds=line.seconds if line.batch is not None else line.seconds or 0.0,
            attempts=line.attempts,
            batch=line.batch,
        )
        return cls(
            id=line.id,
            score=line.score,
            repeat=line.repeat,
            error=line.error,
            answer=line.answer,
            problem=line.problem,
            parts=line.parts,
            usage=usage if line.answer is not None else None,
            cached=line.cached,
        )

    def to_json(self, arm: str) -> JsonObject:
        """Return the detail as it is stored; what is empty is left out."""
        line: JsonObject = {"arm": arm, "id": self.id, "score": self.score}
        if self.repeat:
            line["repeat"] = self.repeat
        if self.error:
            line["error"] = self.error
        if self.answer is not None and self.usage is not None:
            line["answer"] = self.answer
            if self.problem:
                line["problem"] = self.problem
            line |= {
                "parts": [part.to_line() for part in self.parts],
                **self.usage.to_json(),
            }
            if self.cached:
                line["cached"] = True
        return line

    def to_line(self, arm: str) -> str:
        """Return the detail as one line of JSON."""
        return json.dumps(self.to_json(arm), ensure_ascii=False, separators=(",", ":"))


def parse_details(text: str, file: str) -> dict[ArmName, tuple[ExampleResult, ...]]:
    """Both arms of the details of a record.

    Raises:
        InvalidDocumentsError: a line is not what `ExampleResult.to_line` writes; names `file` and
            the line.
    """
    reader = _reader()
    found: dict[ArmName, list[ExampleResult]] = {arm: [] for arm in ARMS}
    try:
        for _, document in parse_jsonl(text, file):
            arm, fields = _arm_and_fields(document)
            try:
                found[arm].append(ExampleResult.from_line(reader.validate_python(fields)))
            except ValidationError as error:
                # Healthy files never pay for it.
                from prompt_hub.repository.messages import model_problems

                raise InvalidDocumentsError(
                    [*model_problems(document, _StoredLine, error)]
                ) from None
    except InvalidDocumentsError as error:
        raise first_of(error, RESTORE) from None
    return {arm: tuple(details) for arm, details in found.items()}


def parse_line(line: str) -> ExampleResult:
    """Return the detail in a line that `ExampleResult.to_line` wrote."""
    fields = json.loads(line)
    del fields["arm"]
    return ExampleResult.from_line(_reader().validate_python(fields))


@cache
def _reader() -> TypeAdapter[_StoredLine]:
    return TypeAdapter(_StoredLine)


def _arm_and_fields(document: Document) -> tuple[ArmName, dict[str, object]]:
    """Return what names the arm of a line, and the rest of it."""
    line = document.data if isinstance(document.data, dict) else {}
    fields = dict(line)
    name = fields.pop("arm", None)
    for arm in ARMS:
        if name == arm:
            return arm, fields
    found = "nothing" if name is None else repr(name)
    raise InvalidDocumentsError([document.problem(("arm",), found, f"one of: {', '.join(ARMS)}")])


def details_path(record: str) -> str:
    """Where the details of the record at a path lie: beside it."""
    return record.removesuffix(".json") + ".jsonl"


def scores_of(details: Iterable[Result], examples: Iterable[ExampleFacts | Example]) -> Scores:
    """Return the scores of what was measured, of a few examples; later repeats come later."""
    places = {example.id: place for place, example in enumerate(examples)}
    scores = Scores(len(places))
    for detail in details:
        if detail.score is not None:
            scores.add(places[detail.id], detail.score)
    return scores
