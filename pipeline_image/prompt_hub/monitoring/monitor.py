"""One run of the score watch: a round of the active version, and fresh rounds if it is suspicious.

A fresh round measures the active version again and its way back as a control, on all examples, or
on another sample of a large set. The round that raised the suspicion is no comparison: it was
chosen for being bad.

Measures only; what becomes of a round is the command's business.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random, SystemRandom

from prompt_hub.core import wording
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.exact import surplus, weighted_mean
from prompt_hub.evaluation.answer_scoring import Scoring
from prompt_hub.evaluation.answer_sums import sums_of
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.example_results import Result, scores_of
from prompt_hub.evaluation.judge import judge_of
from prompt_hub.evaluation.measure import measure
from prompt_hub.evaluation.record import Arm
from prompt_hub.evaluation.summary import MeasurementInfo, arm_of
from prompt_hub.gate.types import GateSet
from prompt_hub.ledger.detector import (
    Evidence,
    error_of_a_run,
    has_fallen,
    wants_comparison,
    wants_fresh_round,
)
from prompt_hub.ledger.items import Pointer, ScoreSample, VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.monitoring.round_cost import RoundCost
from prompt_hub.monitoring.samples import RoundSamples, examples_of_round
from prompt_hub.release.manifest import CarriedVersion, Release
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import rejection_reason
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring.metadata import read_metadata
from prompt_hub.scoring.scorable import unscorable_reason


class NotMeasuredError(PromptHubError):
    """There is no score; nothing may be published."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=ExitCode.NOT_MEASURED)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One version with its score over all rounds of a run and the threshold locked with it."""

    carried: CarriedVersion
    score: float
    arm: Arm
    details: Sequence[Result]
    evidence: Evidence

    @property
    def against_threshold(self) -> tuple[Evidence, float]:
        """Evidence and the threshold that it speaks about."""
        return self.evidence, self.carried.threshold

    @property
    def margin(self) -> float:
        """Score minus locked threshold; below zero exactly where the score misses it."""
        return float(surplus(self.score, self.carried.threshold))


@dataclass(frozen=True, kw_only=True)
class MonitorRun:
    """What one round found."""

    task: str
    active: Measurement
    control: Measurement | None
    no_control: str | None = None
    """Why a control that was wanted is missing."""
    cut_short: str | None = None
    """Why a fresh round failed; the rounds before it stand."""

    @property
    def readings(self) -> list[Measurement]:
        """The active version, then the control if there is one."""
        return [self.active] + ([self.control] if self.control else [])

    def samples(self, *, evaluation: str, at: str, release: str) -> list[ScoreSample]:
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
                evidence=reading.evidence,
                release=release,
                answered_by=tuple(reading.arm.answered_by),
                judged_on=reading.carried.answered_by,
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
                "examples": [json.loads(detail.to_line(role)) for detail in measurement.details],
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
                **({} if self.cut_short is None else {"cut_short": self.cut_short}),
                "versions": versions,
            },
            ensure_ascii=False,
        )


@dataclass(frozen=True)
class _Rounds:
    """What one version answered so far in a run."""

    prompt: Prompt
    carried: CarriedVersion
    details: tuple[Result, ...] = ()
    info: MeasurementInfo | None = None
    count: int = 0

    def with_more(self, details: Sequence[Result], info: MeasurementInfo) -> _Rounds:
        """Add a round."""
        known = self.info.answered_by if self.info else ()
        seconds = self.info.seconds if self.info else 0.0
        return _Rounds(
            self.prompt,
            self.carried,
            (*self.details, *details),
            MeasurementInfo(
                model=info.model,
                answered_by=tuple(dict.fromkeys((*known, *info.answered_by))),
                seconds=round(seconds + info.seconds, 3),
            ),
            self.count + 1,
        )


class ScoreMonitor:
    """Measures versions of one task that the image carries, on the image's own examples.

    `random` draws the examples of a round where not all of them are asked.
    """

    def __init__(
        self,
        repository: PromptRepository,
        release: Release,
        caller: ModelClient,
        task: str,
        *,
        say: Callable[[str], None] = print,
        random: Random | None = None,
    ) -> None:
        self._repository = repository
        self._release = release
        self._caller = caller
        self._task = task
        self._say = say
        self._random = random or SystemRandom()
        self._metadata = read_metadata(repository, task)
        self._judge = judge_of(repository, self._metadata)
        self._samples = RoundSamples(repository.stream_examples(task), self._random)
        self._asked = self._samples.all()
        watch = self._metadata.score_watch
        self._error = error_of_a_run(watch.false_rollbacks, watch.every_minutes)

    @property
    def first_round(self) -> int:
        """Examples that a round asks where nothing is suspicious."""
        return examples_of_round(self._metadata.score_watch.part, self._samples.count)

    def require(self, reference: VersionRef) -> None:
        """Raise `NotMeasuredError` unless the image carries `reference`."""
        self._find(reference)

    async def round(self, pointer: Pointer, *, compare: bool = False) -> MonitorRun:
        """Measure what is active; raises `NotMeasuredError` if that yields no score.

        With `compare` fresh rounds follow whatever the first one says: do the contracts of both
        versions hold on the same examples?
        """
        rounds = await self._ask(_Rounds(*self._find(pointer.active)), self._part())
        active = self._summed(rounds, compared=compare)
        if active.margin >= 0 and not compare:
            return MonitorRun(task=self._task, active=active, control=None)
        control: Measurement | None = None
        no_control: str | None = None
        cut_short: str | None = None
        control_rounds: _Rounds | None = None
        if pointer.previous is None:
            no_control = "there is no version to go back to"
        while wants_fresh_round(
            active.against_threshold, control.against_threshold if control else None
        ) or (
            compare
            and no_control is cut_short is None
            and wants_comparison(active.evidence, control.evidence if control else None)
        ):
            fallen = has_fallen([active.against_threshold], active.evidence.error)
            if no_control is not None and fallen:
                # All that can follow is that people are called, and this run is enough for it.
                break
            examples = self._samples.rounds[rounds.count]
            try:
                rounds = await self._ask(rounds, examples)
            except PromptHubError as error:
                # What was measured stands; without a fresh round there is nothing to compare with.
                cut_short = cut_short or error.message
                if control is None:
                    no_control = no_control or "there is no fresh round to compare it with"
                break
            active = self._summed(rounds, compared=compare)
            if pointer.previous is None or no_control is not None or cut_short is not None:
                continue
            try:
                control_rounds = await self._ask(
                    control_rounds or _Rounds(*self._find(pointer.previous)), examples
                )
            # Retired alias, renamed field, missing key: what stops the control is a reason of
            # the control's, and must not cost the active version's score.
            except PromptHubError as error:
                if control is None:
                    no_control = error.message
                else:
                    cut_short = error.message
            else:
                control = self._summed(control_rounds, beside=rounds, compared=compare)
        return MonitorRun(
            task=self._task,
            active=active,
            control=control,
            no_control=no_control,
            cut_short=cut_short,
        )

    def _part(self) -> Sequence[Example]:
        """Draw the examples of a first round, each set of that size with the same chance."""
        drawn = self._samples.rounds[0]
        if self.first_round >= len(drawn):
            return drawn
        chosen = {example.id for example in self._random.sample(drawn, self.first_round)}
        return [example for example in drawn if example.id in chosen]

    async def _ask(self, rounds: _Rounds, examples: Sequence[Example]) -> _Rounds:
        """Ask one round more; raises `NotMeasuredError` where an answer is missing."""
        prompt, version = rounds.prompt, rounds.carried.version
        # Without a store: a score of now is not made of answers of yesterday.
        budgeted = BudgetedClient.within(self._metadata, self._caller)
        for example in examples:
            if problem := rejection_reason(prompt, example.input):
                raise NotMeasuredError(
                    f"{self._task} {version} cannot be asked today's examples:"
                    f" {example.id}: {problem}."
                )
        scorers = self._metadata.scorers
        if problem := unscorable_reason(prompt, scorers, examples, self._written_for):
            raise NotMeasuredError(
                f"{self._task} {version} cannot be scored by today's examples: {problem}."
            )
        calls = self._require_calls(prompt, examples)
        in_hand = 0 if calls == len(examples) else budgeted.max_concurrency(prompt)
        cost = RoundCost(budgeted.tracker, self._metadata.gate.budget, in_hand=in_hand)

        def require_rest(done: int, total: int) -> None:
            if beyond := cost.beyond(done, total):
                raise NotMeasuredError(
                    f"{self._task} {version} is asked no further: a round takes about {beyond}."
                )

        measured = await measure(
            prompt,
            # The first answers cost what the others will: no file has its long ones first.
            self._random.sample(examples, len(examples)),
            self._metadata,
            budgeted,
            judge=self._judge,
            repeat=rounds.count,
            progress=require_rest,
        )
        missing = "; ".join(sums_of(measured.details).missing(prompt.version))
        if missing or not examples:
            raise NotMeasuredError(
                f"{self._task} {version} could not be measured: "
                f"{missing or 'there are no examples'}."
            )
        return rounds.with_more(measured.details, measured.info)

    @cached_property
    def _written_for(self) -> JsonObject:
        """The output of the candidate that the examples came with."""
        return self._repository.draft(self._task).output

    def _require_calls(self, prompt: Prompt, examples: Sequence[Example]) -> int:
        """Return the most calls that a round may take.

        Raises `NotMeasuredError` where its budget has fewer: it would be paid for to the last call,
        time and again, and yield no score.
        """
        scoring = Scoring(self._metadata, prompt, self._judge)
        calls = sum(times for example in examples for _, _, times in scoring.asked(prompt, example))
        if calls > (allowed := self._metadata.gate.budget.calls):
            raise NotMeasuredError(
                f"{self._task} {prompt.version} is not asked: a round takes up to"
                f" {wording.count(calls, 'call')}, gate.budget allows {allowed:,}."
            )
        return calls

    def _summed(
        self, rounds: _Rounds, *, compared: bool, beside: _Rounds | None = None
    ) -> Measurement:
        """Sum up what a version answered; a control `beside` the active version's rounds."""
        assert rounds.info is not None
        heaviest = self._samples.heaviest
        weights = {example.id: example.weight / heaviest for example in self._asked}
        answers = [(detail, detail.score or 0.0) for detail in rounds.details]
        as_written = {example.id: example.weight for example in self._asked}
        score = float(weighted_mean((score, as_written[detail.id]) for detail, score in answers))
        pairs = [] if beside is None else _paired(rounds, beside)
        differences = [
            weights[ours.id] * ((ours.score or 0.0) - (theirs.score or 0.0))
            for ours, theirs in pairs
        ]
        arm = arm_of(
            rounds.prompt,
            rounds.info,
            sums_of(rounds.details),
            GateSet.of(self._asked),
            scores_of(rounds.details, self._asked),
            self._metadata.gate.confidence,
        )
        threshold = rounds.carried.threshold
        self._say(
            f"{self._task} {rounds.carried.version}: {wording.score(score, threshold)} against "
            f"{wording.score(threshold, score)} on {wording.count(arm.n, 'example')} in "
            f"{arm.seconds:.1f} s, {wording.count(rounds.count, 'round')}"
        )
        return Measurement(
            carried=rounds.carried,
            score=score,
            arm=arm,
            details=rounds.details,
            evidence=Evidence(
                rounds=rounds.count,
                asked=math.fsum(weights[detail.id] for detail, _ in answers),
                earned=math.fsum(weights[detail.id] * score for detail, score in answers),
                error=self._error,
                won=math.fsum(value for value in differences if value > 0),
                lost=math.fsum(-value for value in differences if value < 0),
                answers=len(rounds.details),
                broke=sum(detail.problem is not None for detail in rounds.details),
                kept=_broken_alone(((theirs, ours) for ours, theirs in pairs), weights),
                lapsed=_broken_alone(pairs, weights),
                compared=compared,
            ),
        )

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


def _paired(control: _Rounds, active: _Rounds) -> Sequence[tuple[Result, Result]]:
    """Return what control and active version answered, example by example, over their last rounds.

    The control's first round was asked with the second one of the active version.
    """
    earlier = active.count - control.count
    answers = {(detail.id, detail.repeat - earlier): detail for detail in active.details}
    return [(detail, answers[detail.id, detail.repeat]) for detail in control.details]


def _broken_alone(pairs: Iterable[tuple[Result, Result]], weights: Mapping[str, float]) -> float:
    """Sum the weights of the examples where the first of two answers breaks its contract alone."""
    return math.fsum(
        weights[one.id] for one, other in pairs if one.problem is not None and other.problem is None
    )
