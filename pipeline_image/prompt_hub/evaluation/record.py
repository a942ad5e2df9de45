"""The evaluation record: everything that decided a verdict, so that it can be recomputed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.gate.agreement import Agreement
from prompt_hub.gate.types import Difference, Power, Status
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.schema import Fraction, Sha256, Strict, Version, is_sampled


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

    `n` counts examples, `repeats` how often each was asked; `cached` counts answers that were
    stored before the run. `seconds` is wall time; the percentiles are of single calls, as they
    were when made, None where that is not known of each. `batched` counts answers of batches, whose
    latency nobody knows. The sides of `interval` are wrong with one minus the gate's confidence
    each.
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
    repeats: int
    cached: int
    # Left out where there is none: records are as they were before there were batches.
    batched: Annotated[int, Field(exclude_if=lambda count: count == 0)] = 0
    seconds_p50: float | None
    seconds_p95: float | None
    fields: dict[str, FieldScore]
    tags: dict[str, Slice]

    @property
    def usd_paid(self) -> float | None:
        """What its calls have cost, each counted once."""
        return None if self.usd is None else self.usd / self._counted

    def asked(self, of_repeats: int) -> int:
        """Return how many calls, tokens or stored answers there were, of those over all repeats."""
        return round(of_repeats / self._counted)

    @property
    def _counted(self) -> int:
        """How often a call stands in what is summed over the repeats.

        What is not sampled is asked once, and its answer stands for all of them.
        """
        return 1 if is_sampled(self.parameters.get("temperature")) else self.repeats


class Verdict(Strict):
    """The decision and its reasons; `overridden_by` names who promotes against it.

    `looks` counts how often the evidence was judged before it was enough.
    """

    status: Status
    reasons: tuple[str, ...]
    comparison: Difference | None
    tags: dict[str, Difference]
    power: Power | None
    looks: int
    overridden_by: str | None

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
    votes_agree: float | None


class EvaluationRecord(Strict):
    """One evaluation of one task by one execution.

    `digest` is the hash of everything that could change the verdict; a later execution with the
    same digest copies this record, marks it `remembered` and calls no model. `judge` graded the
    answers; `agreement` is that of a candidate which is a judge itself, with people. `prompt-hub
    replay` makes the record again from its details. `endpoints` is the hash of where the models
    were asked, in the copy alone that is kept to be remembered.
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
    gate_version: str
    threshold: Fraction
    baseline: Fraction | None
    candidate: Arm | None
    champion: Arm | None
    champion_sha256: Sha256 | None
    judge: Judging | None
    agreement: Agreement | None
    verdict: Verdict
    started_at: datetime
    finished_at: datetime
    remembered: bool
    # Left out of what git gets: earlier releases, to which there is a way back, do not know it.
    endpoints: Annotated[Sha256 | None, Field(exclude_if=lambda value: value is None)] = None


RESTORE = "Evaluate the task again with `prompt-hub evaluate`, or restore the file from git."
"""What to do about a record, or details of one, that cannot be read."""


def parse_record(text: str, file: str) -> EvaluationRecord:
    """Return the record in `text`.

    Raises:
        InvalidDocumentsError: naming `file` and the first thing wrong.
    """
    return parse_model(text, file, EvaluationRecord, hint=RESTORE)
