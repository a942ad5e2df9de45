"""A record made again from its details, without a model: the same bytes, or what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile
from pathlib import Path
from typing import get_args

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.evaluation.builder import Provenance, build_record, lines_of, unchanged
from prompt_hub.evaluation.differences import differences
from prompt_hub.evaluation.earlier_words import as_sealed
from prompt_hub.evaluation.example_results import ArmName, ExampleResult, Result
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.evaluation.judge import votes_of
from prompt_hub.evaluation.large_details import LargeAnswers
from prompt_hub.evaluation.looks import SequentialResult, measure_until_decided
from prompt_hub.evaluation.record import Arm, EvaluationRecord
from prompt_hub.evaluation.spooled_results import room_for
from prompt_hub.evaluation.store import Evaluation
from prompt_hub.evaluation.summary import MeasurementInfo
from prompt_hub.gate.rules import GATE_VERSION, GateVersion
from prompt_hub.gate.types import Status
from prompt_hub.llm.response import output_in
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.scoring import (
    SCORERS_CHANGED,
    SCORERS_VERSION,
    ScorerResult,
    build_scorers,
    score_answer,
    weighted_mean,
)
from prompt_hub.scoring.function import fingerprints
from prompt_hub.scoring.metadata import read_metadata
from prompt_hub.scoring.registry import sort_scorers
from prompt_hub.scoring.scorers.injection import CanaryPrompt, attack_on

_Rescore = Callable[[ArmName, Example, ExampleResult], ExampleResult]
FILES = frozenset(("task", "examples", "metadata", "candidate", "champion"))
"""What a change names where a file is not that of the record, or (`task`) cannot be read."""
PROGRAM = frozenset(("scorers", "gate"))
"""What it names where this version of Prompt Hub is not: nobody has edited anything."""
_BY_MODELS = {"judge", "injection"}
"""What the names of parts begin with that a model was asked for."""


class ReplayError(PromptHubError):
    """The record cannot be made again; each change names one input and how it differs."""

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__(
            "; ".join(f"{change.what}: {change.how}" for change in changes),
            exit_code=ExitCode.BLOCKED,
        )
        self.changes = tuple(changes)


@dataclass(frozen=True)
class Change:
    """One input that is not what it was, in words."""

    what: str
    how: str


@dataclass(frozen=True)
class Replayed:
    """The record as it comes out today, and what it rests on."""

    record: EvaluationRecord
    sequential: SequentialResult

    @property
    def details(self) -> str:
        """The details of the record, all of them."""
        return "".join(f"{line}\n" for line in lines_of(self.sequential))


def replay(
    repository: PromptRepository, stored: Evaluation, *, as_scored: bool = False
) -> Replayed:
    """Make a record again and prove that it is the same.

    Args:
        repository: prompts, examples and metadata; they must be those of the record.
        stored: the record and its details.
        as_scored: whether scores and majority guess are taken as other scorers gave them.

    Raises:
        ReplayError: an input has changed, or the record says something else than its details.
    """
    record = stored.record
    inputs, changes = _inputs(repository, record)
    changes += [
        *_compared("metadata", record.metadata_sha256, inputs.metadata.sha256),
    ]
    gate, earlier = _gate_of(record), _changed_since(record.scorers_version)
    unknown = "this version of Prompt Hub does not know the former, look with one that does"
    found = _compared("scorers", record.scorers_version, SCORERS_VERSION)
    scorers = [replace(change, how=f"{change.how}: {earlier or unknown}") for change in found]
    if not earlier and not as_scored:
        changes += scorers
    if gate is None:
        found = _compared("gate", record.gate_version, GATE_VERSION)
        changes += [replace(change, how=f"{change.how}: {unknown}") for change in found]
    if changes or gate is None:
        raise ReplayError(changes)
    versions = replace(inputs, gate_version=gate, scorers_version=record.scorers_version)
    try:
        return _prove_same(versions, stored, repository.root, as_scored=as_scored)
    except ReplayError as error:
        # By other scores the gate may have asked for more answers, or for fewer.
        raise ReplayError([*([] if as_scored else scorers), *error.changes]) from error


def _prove_same(inputs: Inputs, stored: Evaluation, root: Path, *, as_scored: bool) -> Replayed:
    record = stored.record
    replayed = _in_words_of_then(_made_again(inputs, stored, root, as_scored=as_scored), record)
    if as_scored:
        kept: dict[str, object] = {"baseline": record.baseline}
        if not _changed_since(record.scorers_version):
            # A later version may say the same in other words.
            reasons = {"reasons": record.verdict.reasons}
            kept["verdict"] = replayed.record.verdict.model_copy(update=reasons)
        replayed = replace(replayed, record=replayed.record.model_copy(update=kept))
    again, rounding = replayed.record.to_json(), inputs.gate_version != GATE_VERSION
    found = [Change(*each) for each in differences(stored.text, again, rounding=rounding)]
    if found:
        raise ReplayError(found)
    return replayed


def rewrite(repository: PromptRepository, stored: Evaluation) -> Replayed:
    """Make a record again under today's scorers, gate and metadata, from the answers it rests on.

    The threshold stays the one that was locked with the version. Prompts and examples must be
    those of the record.

    Raises:
        ReplayError: they are not; or the answers are not those that today's gate would ask for, or
            what models said of them is not what today's scorers would ask; or it would not promote
            a version that was promoted on this record.
    """
    record = stored.record
    inputs, changes = _inputs(repository, record)
    changes += _graded_otherwise(record, inputs)
    if changes:
        raise ReplayError(changes)
    metadata = inputs.metadata.model_copy(update={"threshold": record.threshold})
    today = replace(inputs, metadata=metadata)
    replayed = _made_again(today, stored, repository.root, anew=True)
    before, after = record.verdict, replayed.record.verdict
    if before.promotes and not after.promotes:
        how = f"{before.status} then, {after.status} today: {'; '.join(after.reasons)}"
        raise ReplayError([Change("verdict", how)])
    return replayed


def _inputs(repository: PromptRepository, record: EvaluationRecord) -> tuple[Inputs, list[Change]]:
    """Return the inputs of a record as the repository has them now, and which are not as they were.

    Whether metadata has changed is left to the caller, who may want today's. Raises
    `PromptHubError`, NOT_MEASURED, for a record of nothing.
    """
    task, verdict = record.task, record.verdict
    if record.candidate is None and verdict.status is Status.NOT_MEASURED:
        raise PromptHubError(
            f"{task} {record.version} was not measured: {'; '.join(verdict.reasons)}.",
            hint=f"There are no answers to score again: prompt-hub evaluate {task}.",
            exit_code=ExitCode.NOT_MEASURED,
        )
    if task not in repository.tasks():
        raise ReplayError([Change("task", f"{task} is no live task of this repository")])
    changes: list[Change] = []
    metadata = read_metadata(repository, task)
    authored = repository.authored(metadata)
    draft = authored.candidate

    def version(what: str, number: str, sha256: str | None) -> Prompt | None:
        kept = repository.version(task, number)
        before = draft.hashed_as_before() if record.gate_version == "1" else None
        for prompt in (draft, kept, before):
            if prompt and (prompt.version, prompt.sha256) == (number, sha256):
                return prompt
        there = "is in no layer" if kept is None and draft.version != number else "has changed"
        changes.append(Change(what, f"{number} with the hash {_short(sha256)} {there}"))
        return None

    itself = record.candidate.sha256 if record.candidate else record.champion_sha256
    candidate = version("candidate", record.version, itself)
    champion = None
    if record.champion is not None:
        champion = version("champion", record.champion.version, record.champion.sha256)
    elif record.champion_sha256 is not None:
        # It was not measured: it is the candidate itself, or could not be asked the examples.
        kept = (candidate, repository.production(task), *repository.archived(task))
        champion = next(
            (item for item in kept if item and item.sha256 == record.champion_sha256), None
        )
        if champion is None:
            how = f"none with the hash {_short(record.champion_sha256)} is in a layer"
            changes.append(Change("champion", how))
    if candidate is None:
        now = examples_sha256(authored.examples)
        changes += _compared("examples", record.examples_sha256, now)
        raise ReplayError(changes)
    inputs = replace(
        Inputs.for_prompts(repository, metadata, authored.examples, candidate, champion),
        was_compared=record.champion is not None,
    )
    changes += _compared("examples", record.examples_sha256, inputs.examples_sha256)
    return inputs, changes


def _made_again(
    inputs: Inputs,
    stored: Evaluation,
    root: Path,
    *,
    anew: bool = False,
    as_scored: bool = False,
) -> Replayed:
    record = stored.record
    arms: Mapping[ArmName, Arm | None] = {
        "candidate": record.candidate,
        "champion": record.champion,
    }
    infos = {
        name: MeasurementInfo(model=arm.model, answered_by=arm.answered_by, seconds=arm.seconds)
        for name, arm in arms.items()
        if arm is not None
    }
    if record.verdict.status is Status.UNCHANGED:
        sequential = unchanged()
    else:
        rescore = _as_scored if as_scored else _rescorer(inputs, anew=anew)
        sequential = _looked_again(inputs, _answers(stored, root), rescore)
    provenance = Provenance(
        execution=record.execution,
        commit=record.commit,
        digest=_digest(inputs, record, infos, root, anew=anew),
        started_at=record.started_at,
        finished_at=record.finished_at,
        remembered=record.remembered,
        endpoints=record.endpoints,
    )
    again = build_record(inputs, sequential, infos, provenance, record.judge)
    return Replayed(again, sequential)


def _in_words_of_then(replayed: Replayed, record: EvaluationRecord) -> Replayed:
    verdict = replayed.record.verdict
    reasons = as_sealed(record.verdict.reasons, verdict.reasons)
    told = verdict.model_copy(update={"reasons": reasons})
    return replace(replayed, record=replayed.record.model_copy(update={"verdict": told}))


def _digest(
    inputs: Inputs,
    record: EvaluationRecord,
    infos: Mapping[ArmName, MeasurementInfo],
    root: Path,
    *,
    anew: bool,
) -> str:
    """Return the digest with the models of then; kept where it is not known which model judged."""
    models = {inputs.arms[arm].sha256: info.model for arm, info in infos.items()}
    if inputs.judge is not None and record.judge is not None:
        models[inputs.judge.sha256] = record.judge.model
    needed = (inputs.candidate, inputs.comparison_target, inputs.judge)
    if any(prompt is not None and prompt.sha256 not in models for prompt in needed):
        return record.digest

    def digest(of: Inputs) -> str:
        return of.digest(lambda prompt: models[prompt.sha256])

    now = digest(inputs)
    if anew or now == record.digest or not inputs.entries:
        return now
    # Once, data beside scorers of one's own did not count.
    code = fingerprints(tuple(inputs.entries), root, code_alone=True)
    return record.digest if digest(replace(inputs, entries=code)) == record.digest else now


class _Answers:
    """The answers in details that are held in memory."""

    def __init__(self, details: Mapping[ArmName, Sequence[ExampleResult]]) -> None:
        self._results = {
            (arm, result.id, result.repeat): result
            for arm, found in details.items()
            for result in found
        }

    @property
    def left(self) -> int:
        """How many were not taken."""
        return len(self._results)

    def take(self, arm: ArmName, example: str, repeat: int) -> ExampleResult | None:
        """Return an answer that was not taken before, None where there is none."""
        return self._results.pop((arm, example, repeat), None)


def _answers(stored: Evaluation, root: Path) -> _Answers | LargeAnswers:
    if stored.large is None:
        return _Answers(stored.details)
    return LargeAnswers(stored.large, stored.name, root)


def _looked_again(
    inputs: Inputs, answers: _Answers | LargeAnswers, rescore: _Rescore
) -> SequentialResult:
    async def ask(arm: ArmName, examples: Sequence[Example], repeat: int) -> Sequence[Result]:
        found = room_for(examples)
        for place, example in enumerate(examples):
            detail = answers.take(arm, example.id, repeat)
            if detail is None:
                again = f", asked {repeat + 1} times" if repeat else ""
                how = f"there is no answer of the {arm} to {example.id}{again}"
                raise ReplayError([Change("details", how)])
            found.add(place, rescore(arm, example, detail))
        return found

    sequential = asyncio.run(
        measure_until_decided(
            inputs.scored,
            inputs.examples_sha256,
            inputs.metadata,
            tuple(inputs.arms),
            ask,
            sampled=inputs.sampled,
            gate_version=inputs.gate_version,
        )
    )
    if answers.left:
        how = f"{count(answers.left, 'answer')} more than were asked for"
        raise ReplayError([Change("details", how)])
    return sequential


def _as_scored(arm: ArmName, example: Example, detail: ExampleResult) -> ExampleResult:
    """Return an answer with the score that follows from what every scorer said of it then."""
    return detail if detail.answer is None else replace(detail, score=weighted_mean(detail.parts))


def _rescorer(inputs: Inputs, *, anew: bool) -> _Rescore:
    """Return a function that scores an answer again; what models said about it is not asked again.

    Args:
        inputs: whose scorers these are.
        anew: whether they may be other ones than those of the record.
    """
    scorers = {
        arm: build_scorers(inputs.metadata.scorers, prompt.output)
        for arm, prompt in inputs.arms.items()
    }
    weighed = _weighed_today(inputs)

    def rescored(arm: ArmName, example: Example, detail: ExampleResult) -> ExampleResult:
        if detail.answer is None:
            return detail
        prompt = inputs.arms[arm]
        output, _ = output_in(detail.answer, prompt)
        usable = output if detail.problem is None else None
        parts = score_answer(scorers[arm], usable, example, detail.problem)
        by_models = weighed(arm, example, detail) if anew else detail.parts[len(parts) :]
        parts = (*parts, *by_models)
        return replace(detail, parts=parts, score=weighted_mean(parts))

    return rescored


def _weighed_today(
    inputs: Inputs,
) -> Callable[[ArmName, Example, ExampleResult], list[ScorerResult]]:
    """Return a function that gives what models said of an answer the weights of today's scorers.

    It raises `ReplayError` where these would have asked something else.
    """
    kinds = sort_scorers(inputs.metadata.scorers)
    guarded = {arm: CanaryPrompt.of(prompt) for arm, prompt in inputs.arms.items()}

    def weighed(arm: ArmName, example: Example, detail: ExampleResult) -> list[ScorerResult]:
        said = [part for part in detail.parts if part.scorer.partition(":")[0] in _BY_MODELS]
        asked = [("judge", judge.weight) for judge in kinds.judges]
        for injection in kinds.injections:
            attack = attack_on(guarded[arm], example, injection)
            if attack is not None:
                asked.append((attack.scorer, injection.weight))
        if [part.scorer for part in said] != [name for name, _ in asked]:
            how = f"today's ask models something else about {example.id}: evaluate the task again"
            raise ReplayError([Change("scorers", how)])
        weights = (weight for _, weight in asked)
        return [replace(part, weight=weight) for part, weight in zip(said, weights, strict=True)]

    return weighed


def _graded_otherwise(record: EvaluationRecord, inputs: Inputs) -> Iterator[Change]:
    """Yield that others graded a record than its task names today."""
    then, judge, settings = record.judge, inputs.judge, inputs.metadata.judge
    before = now = "nobody"
    if then is not None:
        before = f"{then.task} {then.version} with {count(then.votes, 'vote')}"
    if judge is not None and settings is not None:
        now = f"{judge.task} {judge.version} with {count(votes_of(judge, settings), 'vote')}"
    if before != now:
        yield Change("judge", f"{before} graded then, {now} today")


def _gate_of(record: EvaluationRecord) -> GateVersion | None:
    """Return the gate that decided a record; None where it is none of ours."""
    known: tuple[GateVersion, ...] = get_args(GateVersion)
    return next((version for version in known if version == record.gate_version), None)


def _changed_since(scorers: str) -> str:
    """Return in words what moved the scorers since a version; empty where it is none of ours."""
    versions = dropwhile(lambda version: version != scorers, SCORERS_CHANGED)
    return "; ".join(SCORERS_CHANGED[version] for version in versions)


def _compared(what: str, then: str, now: str) -> Iterator[Change]:
    if then != now:
        yield Change(what, f"{_short(then)} then, {_short(now)} now")


def _short(value: str | None) -> str:
    return value[:12] if value else "none"
