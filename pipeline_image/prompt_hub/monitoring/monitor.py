"""One round of the score watch: the active version, and its way back as a control if it fails.

Measures only; what becomes of a round is the command's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.exact import surplus
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.evaluation.inputs import scored
from prompt_hub.evaluation.judge import judge_of
from prompt_hub.evaluation.measure import measure
from prompt_hub.evaluation.record import Arm
from prompt_hub.evaluation.summary import arm_of, missing_answers
from prompt_hub.ledger.items import Pointer, ScoreSample, VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.release.manifest import CarriedVersion, Release
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import rejection_reason
from prompt_hub.repository.schema import Prompt
from prompt_hub.scoring.metadata import read_metadata


class NotMeasuredError(PromptHubError):
    """There is no score; nothing may be published."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=ExitCode.NOT_MEASURED)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One version with its score and the threshold locked with it."""

    carried: CarriedVersion
    score: float
    arm: Arm
    details: Sequence[ExampleResult]

    @property
    def margin(self) -> float:
        """Score minus locked threshold; below zero exactly where the score misses it."""
        return float(surplus(self.score, self.carried.threshold))


@dataclass(frozen=True, kw_only=True)
class MonitorRun:
    """What one round found; `no_control` says why a control that was wanted is missing."""

    task: str
    active: Measurement
    control: Measurement | None
    no_control: str | None

    @property
    def readings(self) -> list[Measurement]:
        """The active version, then the control if there is one."""
        return [self.active] + ([self.control] if self.control else [])

    def samples(self, *, evaluation: str, at: str) -> list[ScoreSample]:
        """Return the round as the ledger keeps it."""
        return [
            ScoreSample(
                task=self.task,
                version=reading.carried.version,
                score=reading.score,
                threshold=reading.carried.threshold,
                n=reading.arm.n,
                interval=reading.arm.interval,
                evaluation=evaluation,
                at=at,
            )
            for reading in self.readings
        ]

    def details(self, *, stage: str, release: str, at: str) -> str:
        """Return the run as the results bucket keeps it: all answers and scores, as JSON."""
        versions = [
            {
                "role": role,
                "version": measurement.carried.version,
                "sha256": measurement.carried.sha256,
                "score": measurement.score,
                "threshold": measurement.carried.threshold,
                "n": measurement.arm.n,
                "interval": measurement.arm.interval,
                "answered_by": measurement.arm.answered_by,
                "tokens": [measurement.arm.tokens_in, measurement.arm.tokens_out],
                "usd": measurement.arm.usd,
                "seconds": measurement.arm.seconds,
                "examples": [detail.to_json(role) for detail in measurement.details],
            }
            for role, measurement in zip(("active", "control"), self.readings, strict=False)
        ]
        return json.dumps(
            {
                "schema": "prompt-hub/sample@1",
                "stage": stage,
                "task": self.task,
                "release": release,
                "at": at,
                "no_control": self.no_control,
                "versions": versions,
            },
            ensure_ascii=False,
        )


class ScoreMonitor:
    """Measures versions of one task that the image carries, on the image's own examples."""

    def __init__(
        self,
        repository: PromptRepository,
        release: Release,
        caller: ModelClient,
        task: str,
        *,
        say: Callable[[str], None] = print,
    ) -> None:
        self._repository = repository
        self._release = release
        self._caller = caller
        self._task = task
        self._say = say
        self._metadata = read_metadata(repository, task)
        self._judge = judge_of(repository, self._metadata)

    def require(self, reference: VersionRef) -> None:
        """Raise `NotMeasuredError` unless the image carries `reference`."""
        self._find(reference)

    async def round(self, pointer: Pointer) -> MonitorRun:
        """Measure what is active; raises `NotMeasuredError` if that yields no score."""
        active = await self._measure(pointer.active)
        control: Measurement | None = None
        no_control: str | None = None
        if active.margin < 0:
            if pointer.previous is None:
                no_control = "there is no version to go back to"
            else:
                try:
                    control = await self._measure(pointer.previous)
                # Retired alias, renamed field, missing key: what stops the control is a reason of
                # the control's, and must not cost the active version's score.
                except PromptHubError as error:
                    no_control = error.message
        return MonitorRun(task=self._task, active=active, control=control, no_control=no_control)

    async def _measure(self, reference: VersionRef) -> Measurement:
        prompt, carried = self._find(reference)
        # Without a store: a score of now is not made of answers of yesterday.
        engine = BudgetedClient.within(self._metadata, self._caller)
        examples = scored(self._repository.examples(self._task))
        for example in examples:
            if problem := rejection_reason(prompt, example.input):
                raise NotMeasuredError(
                    f"{self._task} {reference.version} cannot be asked today's examples:"
                    f" {example.id}: {problem}."
                )
        measured = await measure(prompt, examples, self._metadata, engine, judge=self._judge)
        confidence = self._metadata.gate.confidence
        arm = arm_of(prompt, measured.info, measured.details, examples, confidence)
        if arm.score is None:
            reasons = (
                "; ".join(missing_answers(prompt.version, measured.details))
                or "there are no examples"
            )
            raise NotMeasuredError(
                f"{self._task} {reference.version} could not be measured: {reasons}."
            )
        self._say(
            f"{self._task} {reference.version}: {arm.score:.3f} against "
            f"{carried.threshold:.3f} on {arm.n} examples in {arm.seconds:.1f} s"
        )
        return Measurement(carried=carried, score=arm.score, arm=arm, details=measured.details)

    def _find(self, reference: VersionRef) -> tuple[Prompt, CarriedVersion]:
        task = self._release.tasks.get(self._task)
        carried = task.version(reference.version) if task else None
        prompt = self._repository.version(self._task, reference.version)
        if carried is None or prompt is None or prompt.sha256 != reference.sha256:
            raise NotMeasuredError(
                f"the image of release {self._release.release} does not carry {self._task} "
                f"{reference.version} with the hash {reference.sha256}."
            )
        return prompt, carried
