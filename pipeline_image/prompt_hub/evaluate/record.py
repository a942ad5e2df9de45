"""The evaluation record: everything that decided a verdict, so that it can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.evaluate.agreement import Agreement
from prompt_hub.evaluate.gate import Status
from prompt_hub.evaluate.runner import Measurement
from prompt_hub.models.aliases import ResolvedModel
from prompt_hub.prompts.models import Fraction, Prompt, Sha256, Strict, Version


class FieldScore(Strict):
    """How well one output field was found over all examples: micro-averaged counts.

    `matched` answers were right, of `given` that the model gave and `wanted` that were expected.
    """

    matched: float
    given: int
    wanted: int

    @property
    def precision(self) -> float | None:
        """Share of what was given that is right; None where nothing was given."""
        return self.matched / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """Share of what was wanted that was found; None where nothing was wanted."""
        return self.matched / self.wanted if self.wanted else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where there was nothing to find."""
        both = self.given + self.wanted
        return 2 * self.matched / both if both else None


class Slice(Strict):
    """The examples that carry one tag."""

    score: Fraction
    n: int


class Arm(Strict):
    """One measured version: the candidate, or the champion beside it.

    `n` counts examples, `repeats` how often each was asked; `cached` counts answers that were paid
    for by an earlier run. Latency is that of the calls when they were made, in seconds.
    """

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
    repeats: int = 1
    cached: int = 0
    seconds_p50: float | None = None
    seconds_p95: float | None = None
    fields: dict[str, FieldScore] = Field(default_factory=dict)
    tags: dict[str, Slice] = Field(default_factory=dict)

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
    """Candidate minus champion, paired by example (or by the examples of one tag)."""

    n: int
    difference: float
    low: float
    high: float


class Power(Strict):
    """What these examples could have shown.

    `detectable` is the drop against the champion that would be seen with probability 0.8;
    `needed` the number of examples with which a drop of `margin` would be.
    """

    n: int
    margin: Fraction
    detectable: float | None
    needed: int | None


class Verdict(Strict):
    """The decision and its reasons; `overridden_by` names who promotes against it.

    `looks` counts how often the evidence was judged before it was enough.
    """

    status: Status
    reasons: tuple[str, ...]
    comparison: Difference | None = None
    tags: dict[str, Difference] = Field(default_factory=dict)
    power: Power | None = None
    looks: int = 1
    overridden_by: str | None = None

    @property
    def promotes(self) -> bool:
        """Whether the candidate becomes the released version."""
        return self.status is Status.PASS or self.overridden_by is not None


class Judging(Strict):
    """The judge that graded: a released version of a task of this repository.

    `agreement` is its chance-corrected agreement with people on its own labelled examples,
    `votes_agree` the share of pairs of its votes on one answer that said the same.
    """

    task: str
    version: Version
    sha256: Sha256
    model: str
    votes: int
    agreement: float
    votes_agree: float | None = None


class EvaluationRecord(Strict):
    """One evaluation of one task by one execution.

    `digest` is the hash of everything that could change the verdict; a later execution with the
    same digest copies this record, marks it `remembered` and calls no model. `judge` graded the
    answers; `agreement` is that of a candidate which is a judge itself, with people.
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
    judge: Judging | None = None
    agreement: Agreement | None = None
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
        if result.repeat:
            line["repeat"] = result.repeat
        if result.error:
            line["error"] = result.error
        if answer is not None:
            line |= {
                "answer": answer.text,
                "parts": [part.to_line() for part in result.parts],
                "tokens": [answer.tokens_in, answer.tokens_out],
                "usd": answer.usd,
                "seconds": round(answer.seconds, 4),
                "attempts": answer.attempts,
            }
            if answer.cached:
                line["cached"] = True
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))
