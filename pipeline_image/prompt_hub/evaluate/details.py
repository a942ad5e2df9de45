"""The details of a record: one line for each answer, from which the record is summed up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.gate import Scores
from prompt_hub.evaluate.runner import Measurement, Result
from prompt_hub.evaluate.scorers import Part
from prompt_hub.prompts.models import Fraction

ArmName = Literal["candidate", "champion"]
ARMS: tuple[ArmName, ...] = ("candidate", "champion")


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """One answer as it is kept: the text, what every scorer said, what it cost.

    `problem` says why the answer could not be used as output; it was given and is worth nothing.
    `score` is None and `error` says why where no answer came.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    score: Fraction | None
    repeat: int = 0
    error: str | None = None
    answer: str | None = None
    problem: str | None = None
    parts: tuple[Part, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    usd: float | None = None
    seconds: float | None = None
    attempts: int = 0
    cached: bool = False

    @classmethod
    def of(cls, result: Result) -> Detail:
        """What is kept of a result."""
        answer = result.answer
        if answer is None:
            return cls(
                id=result.example.id, score=result.score, repeat=result.repeat, error=result.error
            )
        return cls(
            id=result.example.id,
            score=result.score,
            repeat=result.repeat,
            error=result.error,
            answer=answer.text,
            problem=answer.problem,
            parts=result.parts,
            tokens=(answer.tokens_in, answer.tokens_out),
            usd=answer.usd,
            seconds=round(answer.seconds, 4),
            attempts=answer.attempts,
            cached=answer.cached,
        )

    def to_line(self, arm: str) -> str:
        """The detail as one line of JSON; what is empty is left out."""
        line: dict[str, object] = {"arm": arm, "id": self.id, "score": self.score}
        if self.repeat:
            line["repeat"] = self.repeat
        if self.error:
            line["error"] = self.error
        if self.answer is not None:
            line["answer"] = self.answer
            if self.problem:
                line["problem"] = self.problem
            line |= {
                "parts": [part.to_line() for part in self.parts],
                "tokens": self.tokens,
                "usd": self.usd,
                "seconds": self.seconds,
                "attempts": self.attempts,
            }
            if self.cached:
                line["cached"] = True
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def detail_lines(arm: str, measured: Measurement) -> Iterator[str]:
    """One JSON line for every answer of one arm."""
    return (Detail.of(result).to_line(arm) for result in measured.per_example)


def parse_details(text: str) -> dict[ArmName, tuple[Detail, ...]]:
    """Both arms of the details of a record.

    Raises:
        PromptHubError: a line is not what `Detail.to_line` writes; the message names it.
    """
    reader = TypeAdapter(Detail)
    found: dict[ArmName, list[Detail]] = {arm: [] for arm in ARMS}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            arm, fields = _as_of_today(json.loads(line))
            found[arm].append(reader.validate_python(fields))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise _broken(number, f"{where}: {first['msg']}") from None
        except ValueError as error:
            raise _broken(number, str(error)) from None
    return {arm: tuple(details) for arm, details in found.items()}


def _broken(number: int, why: str) -> PromptHubError:
    return PromptHubError(
        f"the details are broken in line {number}: {why}.", exit_code=ExitCode.BLOCKED
    )


def _as_of_today(line: JsonValue) -> tuple[ArmName, JsonValue]:
    """The arm of a line and the rest of it, as today's form has it.

    In an early form a part was a list: scorer, score, weight, loss.
    """
    if not isinstance(line, dict) or line.get("arm") not in ARMS:
        raise ValueError(f"it names none of the arms {', '.join(ARMS)}")
    parts = line.get("parts")
    if isinstance(parts, list):
        names = ("scorer", "score", "weight", "loss")
        parts = [
            dict(zip(names, part, strict=False)) if isinstance(part, list) else part
            for part in parts
        ]
        line = {**line, "parts": parts}
    arm = ARMS[ARMS.index(line["arm"])]
    return arm, {name: value for name, value in line.items() if name != "arm"}


def scores_by_example(details: Iterable[Detail]) -> Scores:
    """Scores of what was measured, by example, in the order in which it was asked."""
    scores: dict[str, list[tuple[int, float]]] = {}
    for detail in details:
        if detail.score is not None:
            scores.setdefault(detail.id, []).append((detail.repeat, detail.score))
    return {name: tuple(score for _, score in sorted(found)) for name, found in scores.items()}
