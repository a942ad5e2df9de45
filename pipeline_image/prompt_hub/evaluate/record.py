"""The evaluation record: everything that decided a verdict, so that it can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.evaluate.gate import Status
from prompt_hub.evaluate.runner import Measurement
from prompt_hub.models.aliases import ResolvedModel
from prompt_hub.prompts.models import Fraction, Prompt, Sha256, Strict, Version


class Arm(Strict):
    """One measured version: the candidate, or the champion beside it."""

    version: Version
    sha256: Sha256
    alias: str
    model: str
    parameters: dict[str, float | int]
    answered_by: tuple[str, ...]
    score: Fraction | None
    interval: tuple[float, float]
    n: int
    unmeasured: int
    tokens_in: int
    tokens_out: int
    usd: float | None
    seconds: float

    @classmethod
    def of(cls, prompt: Prompt, model: ResolvedModel, measured: Measurement) -> Arm:
        """Sum up one measurement."""
        return cls(
            version=prompt.version,
            sha256=prompt.sha256,
            alias=model.alias,
            model=model.identity,
            parameters={str(name): value for name, value in prompt.model.parameters.items()},
            answered_by=measured.answered_by,
            score=measured.score,
            interval=measured.interval,
            n=measured.n,
            unmeasured=measured.unmeasured,
            tokens_in=measured.tokens_in,
            tokens_out=measured.tokens_out,
            usd=measured.usd,
            seconds=round(measured.seconds, 3),
        )


class Difference(Strict):
    """Candidate minus champion, paired by example."""

    n: int
    difference: float
    low: float
    high: float


class Verdict(Strict):
    """The decision and its reasons; `overridden_by` names who promotes against it."""

    status: Status
    reasons: tuple[str, ...]
    comparison: Difference | None = None
    overridden_by: str | None = None

    @property
    def promotes(self) -> bool:
        """Whether the candidate becomes the released version."""
        return self.status is Status.PASS or self.overridden_by is not None


class EvaluationRecord(Strict):
    """One evaluation of one task by one execution.

    `digest` is the hash of everything that could change the verdict; a later execution with the
    same digest copies this record, marks it `remembered` and calls no model.
    """

    schema_: Annotated[Literal["prompt-hub/evaluation@1"], Field(alias="schema")]
    task: str
    version: Version
    execution: str
    commit: str
    digest: Sha256
    examples_sha256: Sha256
    metadata_sha256: Sha256
    scorers_version: str
    threshold: Fraction
    baseline: Fraction | None
    candidate: Arm | None
    champion: Arm | None
    champion_sha256: Sha256 | None
    verdict: Verdict
    started_at: datetime
    finished_at: datetime
    remembered: bool = False

    def to_json(self) -> str:
        """The record as it is stored."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def detail_lines(arm: str, measured: Measurement) -> Iterator[str]:
    """One JSON line for every example of one arm: answer, score by scorer, tokens, latency."""
    for result in measured.per_example:
        answer = result.answer
        line: dict[str, object] = {"arm": arm, "id": result.example.id, "score": result.score}
        if result.error:
            line["error"] = result.error
        if answer is not None:
            line |= {
                "answer": answer.text,
                "parts": [[p.scorer, p.score, p.weight, p.loss] for p in result.parts],
                "tokens": [answer.tokens_in, answer.tokens_out],
                "usd": answer.usd,
                "seconds": round(answer.seconds, 4),
                "attempts": answer.attempts,
            }
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))
