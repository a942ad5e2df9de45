"""What a report page is made from: one run of the lifecycle, written by whoever drove it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from prompt_hub.repository.schema import Fraction, Strict

Seconds = Annotated[float, Field(ge=0)]


class Step(Strict):
    """One step of the run; `expected-red` ended red, as it was meant to, and `note` says why."""

    name: str
    started_at: AwareDatetime
    seconds: Seconds
    status: Literal["ok", "failed", "expected-red"]
    detail: str = ""
    note: str = ""


class VersionScore(Strict):
    """One version measured in the run.

    `model` is provider and model, `baseline` what the best constant guess scores, `n` the number
    of examples; `champion_score` is the released version's on the same examples. `page` is the
    file name of its evaluation's own report, beside this one.
    """

    task: str
    version: str
    model: str
    score: Fraction | None
    threshold: Fraction
    baseline: Fraction | None
    verdict: str
    n: int
    champion_score: Fraction | None = None
    page: Annotated[str, Field(pattern=r"^[\w.-]+\.html$")] | None = None


class Moment(Strict):
    """Something that happened, and when; `what` begins with who did it, and a colon."""

    at: AwareDatetime
    what: str

    @property
    def who(self) -> str:
        """Who did it."""
        return self.what.partition(":")[0]


class Sample(Strict):
    """One measurement of the score watch."""

    at: AwareDatetime
    version: str
    score: Fraction
    threshold: Fraction


class Rollback(Strict):
    """One rollback; scores are by version, before and after the cause of it, as are thresholds.

    `samples` are the measurements of the task, oldest first, up to that of the restored version.
    """

    task: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    seconds_first_bad_sample_to_good_answer: Seconds
    scores_before: dict[str, Fraction | None] = Field(default_factory=dict)
    scores_after: dict[str, Fraction | None] = Field(default_factory=dict)
    thresholds: dict[str, Fraction] = Field(default_factory=dict)
    restored_score: Fraction | None = None
    samples: tuple[Sample, ...] = ()


class FinalPointer(Strict):
    """What is active for a task at the end; `states` is the ledger's state by version."""

    task: str
    version: str
    previous: str | None = None
    reason: str = ""
    states: dict[str, str] = Field(default_factory=dict)


class Action(Strict):
    """One action of a pipeline execution; `log` is the path of its log, from where the page is."""

    stage: str
    action: str
    status: str
    seconds: Seconds
    summary: str = ""
    provider: str = ""
    log: Annotated[str, Field(pattern=r"^([\w-][\w.-]*/)*[\w-][\w.-]*\.log$")] | None = None


class Execution(Strict):
    """One pipeline execution; `note` explains one that ended red on purpose."""

    id: str
    status: str
    note: str = ""
    actions: tuple[Action, ...] = ()


class RunReport(Strict):
    """One run, from its first step to its last. `timeline` tells the rollback moment by moment."""

    schema_: Annotated[Literal["prompt-hub/run@1"], Field(alias="schema")]
    title: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    steps: tuple[Step, ...] = ()
    versions: tuple[VersionScore, ...] = ()
    timeline: tuple[Moment, ...] = ()
    rollback: Rollback | None = None
    pointers: tuple[FinalPointer, ...] = ()
    executions: tuple[Execution, ...] = ()

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return max((self.finished_at - self.started_at).total_seconds(), 0.0)

    def offset(self, at: datetime) -> float:
        """Seconds from the start of the run to `at`."""
        return (at - self.started_at).total_seconds()
