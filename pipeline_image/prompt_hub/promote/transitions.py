"""What each move of the state machine changes: pure, before anything is written.

Every function reads the repository, asks `states` whether the move is allowed and returns all
files of it together, so that layers and registry can never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.details import details_path
from prompt_hub.evaluate.gate import Status
from prompt_hub.evaluate.record import Arm, EvaluationRecord
from prompt_hub.promote.states import UNRELEASED, Case, Decision, Event, NotAllowed, State, move
from prompt_hub.promote.writing import prompt_text, registry_text
from prompt_hub.prompts.hashing import evidence_sha256
from prompt_hub.prompts.models import (
    Lock,
    Metadata,
    Prompt,
    RegisteredModel,
    RegisteredTask,
    RegisteredVerdict,
    RegisteredVersion,
    Registry,
    VersionState,
    version_key,
)
from prompt_hub.prompts.repository import (
    ARCHIVE,
    PRODUCTION,
    REGISTRY,
    PromptRepository,
    evaluation_path,
)
from prompt_hub.prompts.transaction import Changes


def production_path(task: str) -> str:
    """Where the released version of `task` lies."""
    return f"prompts/{PRODUCTION}/{task}.yaml"


def archive_path(task: str, version: str) -> str:
    """Where a retired version of `task` lies."""
    return f"prompts/{ARCHIVE}/{task}/{version}.yaml"


def standing(repository: PromptRepository, task: str, version: str) -> State:
    """Where a version stands: what the registry says, or `candidate` if it does not know it."""
    entry = _registered_version(repository, task, version)
    return State(entry.state) if entry else State.CANDIDATE


def gone_before(repository: PromptRepository, task: str, version: str) -> str | None:
    """Why a candidate of this number comes too late, None where its number is still its own.

    It was released once, and superseded or taken out since.
    """
    entry = _registered_version(repository, task, version)
    if entry is None or State(entry.state) in (*UNRELEASED, State.RELEASED):
        return None
    return f"{version} was {entry.state} ({entry.reason or 'no reason given'}); raise the version"


def _registered_version(
    repository: PromptRepository, task: str, version: str
) -> RegisteredVersion | None:
    known = repository.registry().tasks.get(task)
    return known.versions.get(version) if known else None


def promote(
    repository: PromptRepository, record: EvaluationRecord, details: str, at: datetime
) -> Changes:
    """The candidate becomes the released version, the champion moves to the archive.

    A candidate that is the champion itself, measured on another model than it was released on,
    requalifies: only its record changes.

    Raises:
        NotAllowed: the record does not promote, or the version may not be released.
        PromptHubError: the record does not speak of this candidate.
    """
    task = record.task
    candidate, champion = repository.candidate(task), repository.production(task)
    arm = _measured(record, candidate)
    metadata = repository.metadata(task)
    override = metadata.override
    decision = None
    if override is not None and override.version == record.version:
        decision = Decision(override.person, override.reason)
    case = _case(record, candidate, champion, decision)
    state = standing(repository, task, record.version)
    event = Event.REQUALIFY if state is State.RELEASED else Event.PROMOTE
    if record.verdict.overridden_by is not None:
        event = Event.OVERRIDE
    reached = move(task, state, event, case)
    by = decision if event is Event.OVERRIDE else None
    versions = {record.version: _entry(record, arm, reached, at, details, by)}
    changes: dict[str, str | None] = _evaluation_files(record, details)
    if state is not State.RELEASED:
        lock = Lock(
            sha256=candidate.sha256,
            promoted_at=at,
            evaluation=evaluation_path(task, record.version),
            commit=record.commit,
        )
        released = candidate.model_copy(update={"lock": lock})
        changes[production_path(task)] = prompt_text(released)
        if champion is not None:
            changes[archive_path(task, champion.version)] = prompt_text(champion, depth=2)
            versions |= _moved(repository, task, champion.version, Event.SUPERSEDE)
    changes[REGISTRY] = _registry_text(
        repository.registry(), metadata, record.version, versions, _verdict(record, at)
    )
    return changes


def refuse(
    repository: PromptRepository, record: EvaluationRecord, details: str, at: datetime
) -> Changes:
    """A candidate that does not pass is logged in `04-evals` and named in the registry.

    A refusal that the registry knows already changes nothing, so it makes no second bot commit.

    Raises:
        NotAllowed: the version was released before, and is not the champion.
        PromptHubError: the record does not speak of this candidate.
    """
    task = record.task
    candidate, champion = repository.candidate(task), repository.production(task)
    arm = _measured(record, candidate)
    registry = repository.registry()
    known = registry.tasks.get(task)
    if (
        known is not None
        and known.verdict is not None
        and known.verdict.version == record.version
        and known.verdict.status == record.verdict.status
        and record.remembered
    ):
        return {}
    state = standing(repository, task, record.version)
    event = Event.BLOCK if record.verdict.status is Status.BLOCK else Event.LEAVE_OPEN
    if state is State.RELEASED:
        event = Event.FALL_SHORT
    reached = move(task, state, event, _case(record, candidate, champion))
    versions: dict[str, RegisteredVersion] = {}
    # A champion that fails on another model stays what git has released, on its own record.
    if reached is State.BLOCKED:
        by = Decision("", "; ".join(record.verdict.reasons))
        versions[record.version] = _entry(record, arm, reached, at, details, by)
    text = _registry_text(
        registry,
        repository.metadata(task),
        known.released if known else None,
        versions,
        _verdict(record, at),
    )
    files = {} if state is State.RELEASED else _evaluation_files(record, details)
    return {**files, REGISTRY: text}


def downgrade(
    repository: PromptRepository, task: str, version: str, decision: Decision, at: datetime
) -> Changes:
    """An archived version becomes the released one again; a champion is taken out for it.

    Raises:
        NotAllowed: nobody is named, or the version was taken out and nobody insists on it.
        PromptHubError: the version is not in the archive.
    """
    return _go_back(repository, task, version, Event.DOWNGRADE, decision, at)


def archive(repository: PromptRepository, task: str, decision: Decision, at: datetime) -> Changes:
    """The released version retires with no successor.

    Raises:
        NotAllowed: nobody is named.
        PromptHubError: nothing is released.
    """
    champion = repository.production(task)
    if champion is None:
        raise PromptHubError(f"{task} has no released version.", hint="Promote one first.")
    versions = _moved(repository, task, champion.version, Event.ARCHIVE, decision, at)
    return {
        production_path(task): None,
        archive_path(task, champion.version): prompt_text(champion, depth=2),
        REGISTRY: _registry_text(repository.registry(), repository.metadata(task), None, versions),
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
    """A version that did harm is kept out of later images.

    Where it is the champion, the archived version `successor` is released in its place.

    Raises:
        NotAllowed: nobody is named, or the version was never released.
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
    versions = _moved(repository, task, version, Event.QUARANTINE, decision, at)
    released = champion.version if champion else None
    metadata = repository.metadata(task)
    return {REGISTRY: _registry_text(repository.registry(), metadata, released, versions)}


def remade(repository: PromptRepository, record: EvaluationRecord, details: str) -> Changes:
    """A record in `04-evals` made again from its own answers: its files, and the seal on them.

    No version moves; the registry takes over the score that the record says now.
    """
    registry, task = repository.registry(), record.task
    changes = _evaluation_files(record, details)
    known = registry.tasks.get(task)
    entry = known.versions.get(record.version) if known else None
    if known is None or entry is None or record.candidate is None:
        return changes
    sealed = entry.model_copy(
        update={
            "evaluation_sha256": evidence_sha256(record.to_json().encode(), details.encode()),
            "score": record.candidate.score,
        }
    )
    verdict = known.verdict
    if verdict is not None and verdict.version == record.version:
        verdict = _verdict(record, verdict.at)
    versions = {record.version: sealed}
    metadata = repository.metadata(task)
    text = _registry_text(registry, metadata, known.released, versions, verdict)
    return {**changes, REGISTRY: text}


def _go_back(
    repository: PromptRepository,
    task: str,
    version: str,
    leaving: Event,
    decision: Decision,
    at: datetime,
) -> Changes:
    champion = repository.production(task)
    target = next((old for old in repository.archived(task) if old.version == version), None)
    if target is None:
        known = ", ".join(old.version for old in repository.archived(task)) or "none"
        raise PromptHubError(
            f"{task} {version} is not in the archive (archived: {known}).",
            hint="Name one of the archived versions.",
        )
    versions = _moved(repository, task, version, Event.RESTORE, decision, at)
    changes: dict[str, str | None] = {
        production_path(task): prompt_text(target),
        archive_path(task, version): None,
    }
    if champion is not None:
        versions |= _moved(repository, task, champion.version, leaving, decision, at)
        changes[archive_path(task, champion.version)] = prompt_text(champion, depth=2)
    changes[REGISTRY] = _registry_text(
        repository.registry(), repository.metadata(task), version, versions
    )
    return changes


def _case(
    record: EvaluationRecord,
    candidate: Prompt,
    champion: Prompt | None,
    decision: Decision | None = None,
) -> Case:
    return Case(
        version=record.version,
        released=champion.version if champion else None,
        same_content=champion is not None and champion.sha256 == candidate.sha256,
        status=record.verdict.status,
        reasons=record.verdict.reasons,
        decision=decision,
    )


def _moved(
    repository: PromptRepository,
    task: str,
    version: str,
    event: Event,
    decision: Decision | None = None,
    at: datetime | None = None,
) -> dict[str, RegisteredVersion]:
    """The entry of a version after `event`; a decision by hand is written down with its time."""
    state = standing(repository, task, version)
    reached = move(task, state, event, Case(version=version, decision=decision))
    entry = _registered_version(repository, task, version)
    assert entry is not None, "the table has no such move for a candidate"
    update: dict[str, object] = {"state": VersionState(reached)}
    if decision is not None:
        update |= {"person": decision.person.strip(), "reason": decision.reason.strip(), "at": at}
    return {version: entry.model_copy(update=update)}


def _measured(record: EvaluationRecord, candidate: Prompt) -> Arm:
    arm = record.candidate
    if arm is None:
        said = f"the verdict on {record.task} {record.version} is {record.verdict.status}"
        raise NotAllowed(f"{said} ({'; '.join(record.verdict.reasons)}): nothing was measured.")
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
    return {path: record.to_json(), details_path(path): details}


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


def _registry_text(
    registry: Registry,
    metadata: Metadata,
    released: str | None,
    versions: Mapping[str, RegisteredVersion],
    verdict: RegisteredVerdict | None = None,
) -> str:
    """The registry with these versions of one task changed, and `released` its released one."""
    known = registry.tasks.get(metadata.task)
    every = {**(known.versions if known else {}), **versions}
    current = every[released] if released is not None else None
    task = RegisteredTask(
        owner=metadata.owner,
        description=metadata.description,
        released=released,
        sha256=current.sha256 if current else None,
        threshold=current.threshold if current else None,
        model=current.model if current else None,
        verdict=verdict or (known.verdict if known else None),
        versions=dict(sorted(every.items(), key=lambda item: version_key(item[0]))),
    )
    tasks = dict(sorted({**registry.tasks, metadata.task: task}.items()))
    return registry_text(registry.model_copy(update={"tasks": tasks}))
