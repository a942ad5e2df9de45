"""What each move of the state machine changes: pure, before anything is written.

Every function reads the registry once, asks it and `states` whether the move is allowed and returns
all files of it together, so that layers and registry can never disagree.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import evidence_sha256
from prompt_hub.evaluation.example_results import details_path
from prompt_hub.evaluation.large_details import large_details_in
from prompt_hub.evaluation.record import Arm, EvaluationRecord
from prompt_hub.evaluation.store import logged_record
from prompt_hub.gate.types import Status
from prompt_hub.promotion.registry_view import TaskRegistryView
from prompt_hub.promotion.registry_writer import prompt_text
from prompt_hub.promotion.release_check import check_number, check_release, context_of
from prompt_hub.promotion.states import (
    Decision,
    Event,
    NotAllowedError,
    State,
    move,
)
from prompt_hub.repository.reader import ARCHIVE, PRODUCTION, PromptRepository, evaluation_path
from prompt_hub.repository.registry import (
    RegisteredModel,
    RegisteredVerdict,
    RegisteredVersion,
    VersionState,
)
from prompt_hub.repository.schema import Lock, Prompt, version_key
from prompt_hub.repository.transaction import Changes


def production_path(task: str) -> str:
    """Where the released version of `task` lies."""
    return f"prompts/{PRODUCTION}/{task}.yaml"


def archive_path(task: str, version: str) -> str:
    """Where a retired version of `task` lies."""
    return f"prompts/{ARCHIVE}/{task}/{version}.yaml"


def promote(
    repository: PromptRepository, record: EvaluationRecord, details: str, at: datetime
) -> Changes:
    """Make the candidate the released version, and move the champion to the archive.

    A candidate that is the champion itself, measured on another model than it was released on,
    requalifies: only its record changes.

    Raises:
        NotAllowedError: the record does not promote, or the version may not be released, as where
            something is left that was written to be replaced, or its override was used before.
        PromptHubError: the record does not speak of this candidate.
    """
    task = record.task
    champion = repository.production(task)
    candidate = repository.candidate(task).known_as(champion)
    arm = _measured(record, candidate)
    view = TaskRegistryView(repository.registry(), task)
    state = view.state(record.version)
    event, by = check_release(repository, record, candidate, champion, view)
    entry = _entry(record, arm, State.RELEASED, at, details, by)
    known = view.version(record.version)
    if event is Event.REQUALIFY and known is not None:
        # Measured anew, not decided anew: who released it, and when, stays as it was.
        entry = entry.model_copy(update=known.model_dump(include={"at", "person", "reason"}))
    versions = {record.version: entry}
    changes: dict[str, str | None] = _evaluation_files(record, details)
    if state is not State.RELEASED:
        changes |= _released_files(record, candidate, champion, at)
        if champion is not None:
            versions |= view.transition(champion.version, Event.SUPERSEDE)
    return changes | view.updated_registry(
        repository.metadata(task), versions, released=record.version, verdict=_verdict(record, at)
    )


def _released_files(
    record: EvaluationRecord, candidate: Prompt, champion: Prompt | None, at: datetime
) -> dict[str, str | None]:
    """Return the released prompt with its lock, and the champion in the archive."""
    task = record.task
    lock = Lock(
        sha256=candidate.sha256,
        in_order=True,
        promoted_at=at,
        evaluation=evaluation_path(task, record.version),
        commit=record.commit,
    )
    released = candidate.model_copy(update={"lock": lock})
    files: dict[str, str | None] = {production_path(task): prompt_text(released)}
    if champion is not None:
        files[archive_path(task, champion.version)] = prompt_text(champion, depth=2)
    return files


def refuse(
    repository: PromptRepository, record: EvaluationRecord, details: str, at: datetime
) -> Changes:
    """Log a candidate that does not pass in `04-evals`, and name it in the registry.

    A refusal that the registry knows already changes nothing, so it makes no second bot commit:
    of an earlier execution, or of this one whose Promote is retried.

    Raises:
        NotAllowedError: the version was released before, and is not the champion.
        PromptHubError: the record does not speak of this candidate.
    """
    task = record.task
    champion = repository.production(task)
    candidate = repository.candidate(task).known_as(champion)
    arm = _measured(record, candidate)
    view = TaskRegistryView(repository.registry(), task)
    check_number(repository, view, candidate)
    last, state = view.verdict, view.state(record.version)
    if (
        last is not None
        and (last.version, last.status) == (record.version, record.verdict.status)
        and (record.remembered or _is_logged(repository, record, state, last))
    ):
        return {}
    event = Event.BLOCK if record.verdict.status is Status.BLOCK else Event.LEAVE_OPEN
    if state is State.RELEASED:
        event = Event.FALL_SHORT
    reached = move(task, state, event, context_of(record, candidate, champion))
    versions: dict[str, RegisteredVersion] = {}
    # A champion that fails on another model stays what git has released, on its own record.
    if reached is State.BLOCKED:
        by = Decision("", "; ".join(record.verdict.reasons))
        versions[record.version] = _entry(record, arm, reached, at, details, by)
    files = {} if state is State.RELEASED else _evaluation_files(record, details)
    metadata, verdict = repository.metadata(task), _verdict(record, at)
    return files | view.updated_registry(
        metadata, versions, released=view.released, verdict=verdict
    )


def _is_logged(
    repository: PromptRepository, record: EvaluationRecord, state: State, last: RegisteredVerdict
) -> bool:
    """Whether git has this very record, or of the released version its verdict alone."""
    if state is State.RELEASED:
        return last.at >= record.finished_at and last == _verdict(record, last.at)
    return logged_record(repository, record.task, record.version) == record


def downgrade(
    repository: PromptRepository, task: str, version: str, decision: Decision, at: datetime
) -> Changes:
    """Release an archived version again; an older one takes the champion out, a newer supersedes.

    Raises:
        NotAllowedError: nobody is named, or the version was taken out and nobody insists on it.
        PromptHubError: the version is not in the archive, as where it is the released one.
    """
    champion = repository.production(task)
    if champion is not None and champion.version == version:
        # Minutes after a rollback only the branch says so.
        raise PromptHubError(
            f"{task} {version} is the released version in this clone.",
            hint="A rollback comes into it with `git pull`, once promotion has written so.",
            exit_code=ExitCode.BLOCKED,
        )
    # Who undoes a downgrade or a rollback has nothing against the version that stood in meanwhile.
    forward = champion is not None and version_key(version) > version_key(champion.version)
    leaving = Event.SUPERSEDE if forward else Event.DOWNGRADE
    return _go_back(repository, task, version, leaving, decision, at)


def archive(
    repository: PromptRepository,
    task: str,
    decision: Decision,
    at: datetime,
    *,
    version: str | None = None,
) -> Changes:
    """Retire the released version with no successor, or an older `version` by its number.

    Raises:
        NotAllowedError: nobody is named, or the version may not be retired.
        PromptHubError: nothing is released, and no version is named.
    """
    champion = repository.production(task)
    view = TaskRegistryView(repository.registry(), task)
    if version is not None and (champion is None or champion.version != version):
        older = view.transition(version, Event.ARCHIVE, decision, at)
        metadata = repository.metadata(task)
        return view.updated_registry(metadata, older, released=view.released)
    if champion is None:
        raise PromptHubError(f"{task} has no released version.", hint="Promote one first.")
    versions = view.transition(champion.version, Event.ARCHIVE, decision, at)
    return {
        production_path(task): None,
        archive_path(task, champion.version): prompt_text(champion, depth=2),
        **view.updated_registry(repository.metadata(task), versions, released=None),
    }


def quarantine(
    repository: PromptRepository,
    task: str,
    version: str,
    decision: Decision,
    at: datetime,
    *,
    successor: str | None = None,
) -> Changes:
    """Keep a version that did harm out of later images.

    Where it is the champion, the archived version `successor` is released in its place.

    Raises:
        NotAllowedError: nobody is named, or the version was never released.
        PromptHubError: the champion is meant and no successor is named, or the other way round.
    """
    champion = repository.production(task)
    if champion is not None and champion.version == version:
        if successor is None:
            raise PromptHubError(
                f"{task} {version} is the released version: something must take its place.",
                hint="Name an archived version with --to.",
            )
        return _go_back(repository, task, successor, Event.QUARANTINE, decision, at)
    if successor is not None:
        raise PromptHubError(
            f"{task} {version} is not the released version, so nothing takes its place.",
            hint="Leave --to out.",
        )
    view = TaskRegistryView(repository.registry(), task)
    versions = view.transition(version, Event.QUARANTINE, decision, at)
    return view.updated_registry(repository.metadata(task), versions, released=view.released)


def undo_rollback(
    repository: PromptRepository, task: str, version: str, decision: Decision, at: datetime
) -> Changes:
    """Release a quarantined version again; its way back is superseded, not taken out.

    Raises:
        NotAllowedError: nobody is named, or it may not be released again.
        PromptHubError: the version is not in the archive.
    """
    return _go_back(repository, task, version, Event.SUPERSEDE, decision, at)


def replace_record(repository: PromptRepository, record: EvaluationRecord, details: str) -> Changes:
    """Seal a record of `04-evals` that was made again from its answers.

    No version moves; the registry takes over the score and the verdict that the record says now,
    unless its last verdict is a later one on another model.
    """
    view = TaskRegistryView(repository.registry(), record.task)
    changes = _evaluation_files(record, details)
    task = view.entry
    if task is None or record.candidate is None:
        return changes
    versions: dict[str, RegisteredVersion] = {}
    entry = view.version(record.version)
    if entry is not None:
        seal = evidence_sha256(record.to_json().encode(), details.encode())
        update = {"evaluation_sha256": seal, "score": record.candidate.score}
        versions[record.version] = entry.model_copy(update=update)
    verdict = task.verdict
    if verdict is not None and verdict.version == record.version and task.verdict_is_recorded:
        verdict = _verdict(record, verdict.at)
    metadata = repository.metadata(record.task)
    return changes | view.updated_registry(
        metadata, versions, released=view.released, verdict=verdict
    )


def _go_back(
    repository: PromptRepository,
    task: str,
    version: str,
    leaving: Event,
    decision: Decision,
    at: datetime,
) -> Changes:
    champion = repository.production(task)
    archived = {old.version: old for old in repository.archived(task)}
    target = archived.get(version)
    if target is None:
        known = ", ".join(archived) or "none"
        raise PromptHubError(
            f"{task} {version} is not in the archive (archived: {known}).",
            hint="Name one of the archived versions.",
        )
    view = TaskRegistryView(repository.registry(), task)
    versions = view.transition(version, Event.RESTORE, replace(decision, evidence=None), at)
    changes: dict[str, str | None] = {
        production_path(task): prompt_text(target),
        archive_path(task, version): None,
    }
    if champion is not None:
        by = None if leaving is Event.SUPERSEDE else decision
        versions |= view.transition(champion.version, leaving, by, at)
        changes[archive_path(task, champion.version)] = prompt_text(champion, depth=2)
    return changes | view.updated_registry(repository.metadata(task), versions, released=version)


def _measured(record: EvaluationRecord, candidate: Prompt) -> Arm:
    arm = record.candidate
    if arm is None:
        message = f"the verdict on {record.task} {record.version} is {record.verdict.status}"
        raise NotAllowedError(
            f"{message} ({'; '.join(record.verdict.reasons)}): nothing was measured."
        )
    if arm.sha256 != candidate.sha256 or record.version != candidate.version:
        raise PromptHubError(
            f"the evaluation record of {record.task} {record.version} does not speak of the"
            f" candidate {candidate.version} as it is now.",
            hint="Evaluate it again with prompt-hub evaluate.",
            exit_code=ExitCode.BLOCKED,
        )
    return arm


def _evaluation_files(record: EvaluationRecord, details: str) -> dict[str, str | None]:
    path = f"prompts/{evaluation_path(record.task, record.version)}"
    beside = details_path(path)
    large = large_details_in(details, beside)
    if large is not None and not large.is_shared:
        raise NotAllowedError(
            f"the {large.count:,} answers behind {record.task} {record.version} are too large for"
            f" git ({large.size / 1e6:,.0f} MB), and lie on this machine alone.",
            hint=f"Set {aws_names.ENV_RESULTS_BUCKET} and evaluate again: no model is asked.",
        )
    return {path: record.to_json(), beside: details}


def _entry(
    record: EvaluationRecord,
    arm: Arm,
    state: State,
    at: datetime,
    details: str,
    by: Decision | None = None,
) -> RegisteredVersion:
    return RegisteredVersion(
        state=VersionState(state),
        sha256=arm.sha256,
        score=arm.score,
        threshold=record.threshold,
        model=RegisteredModel(alias=arm.alias, identity=arm.model),
        evaluation=evaluation_path(record.task, record.version),
        evaluation_sha256=evidence_sha256(record.to_json().encode(), details.encode()),
        commit=record.commit,
        at=at,
        reason=by.reason if by else None,
        person=(by.person or None) if by else None,
    )


def _verdict(record: EvaluationRecord, at: datetime) -> RegisteredVerdict:
    return RegisteredVerdict(
        status=record.verdict.status,
        version=record.version,
        score=record.candidate.score if record.candidate else None,
        baseline=record.baseline,
        at=at,
    )
