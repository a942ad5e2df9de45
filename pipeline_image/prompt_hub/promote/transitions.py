"""What promotion, blocking, downgrade and archiving change: pure, before anything is written.

Every function reads the repository and returns all files of its transition together, so that
layers and registry can never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.gate import Status
from prompt_hub.evaluate.record import Arm, EvaluationRecord
from prompt_hub.promote.transaction import Changes
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
from prompt_hub.prompts.repository import ARCHIVE, EVALS, PRODUCTION, REGISTRY, PromptRepository


def production_path(task: str) -> str:
    """Where the released version of `task` lies."""
    return f"prompts/{PRODUCTION}/{task}.yaml"


def archive_path(task: str, version: str) -> str:
    """Where a retired version of `task` lies."""
    return f"prompts/{ARCHIVE}/{task}/{version}.yaml"


def evaluation_path(task: str, version: str) -> str:
    """Where the evaluation record of a version lies, relative to `prompts/`."""
    return f"{EVALS}/{task}/{version}.json"


_TAKEN_OUT = (VersionState.DOWNGRADED, VersionState.ARCHIVED, VersionState.QUARANTINED)


def taken_out(repository: PromptRepository, task: str, version: str) -> str | None:
    """Why `version` may not be released again under its number, None if it may."""
    known = repository.registry().tasks.get(task)
    entry = known.versions.get(version) if known else None
    if entry is None or entry.state not in _TAKEN_OUT:
        return None
    return f"{version} was {entry.state} ({entry.reason or 'no reason given'}); raise the version"


def promote(
    repository: PromptRepository, record: EvaluationRecord, details: str, at: datetime
) -> Changes:
    """The candidate becomes the released version, the champion moves to the archive.

    Raises:
        PromptHubError: the record does not promote, or does not speak of this candidate.
    """
    candidate = repository.candidate(record.task)
    arm = _measured(record, candidate)
    if not record.verdict.promotes:
        raise PromptHubError(
            f"{record.task} {record.version} is not promoted: {record.verdict.status}"
            f" ({'; '.join(record.verdict.reasons)}).",
            hint="Mend the prompt, or override by name with `promote_prompt.py override`.",
            exit_code=ExitCode.BLOCKED,
        )
    retired = taken_out(repository, record.task, record.version)
    if retired is not None:
        raise PromptHubError(
            f"{record.task} is not promoted: {retired}.", exit_code=ExitCode.BLOCKED
        )
    champion = repository.production(record.task)
    itself = (candidate.version, candidate.sha256)
    if champion is not None and (champion.version, champion.sha256) == itself:
        return _requalify(repository, record, arm, details, at)
    if champion is not None and version_key(candidate.version) <= version_key(champion.version):
        raise PromptHubError(
            f"{record.task} {candidate.version} is not newer than the released {champion.version}.",
            hint="Bump the candidate's version.",
            exit_code=ExitCode.BLOCKED,
        )
    lock = Lock(
        sha256=candidate.sha256,
        promoted_at=at,
        evaluation=evaluation_path(record.task, record.version),
        commit=record.commit,
    )
    released = candidate.model_copy(update={"lock": lock})
    entry = _entry(record, arm, VersionState.RELEASED, at, details)
    changes: dict[str, str | None] = {
        production_path(record.task): prompt_text(released),
        **_evaluation_files(record, details),
    }
    states: dict[str, VersionState] = {}
    if champion is not None:
        changes[archive_path(record.task, champion.version)] = prompt_text(champion, depth=2)
        states[champion.version] = VersionState.SUPERSEDED
    registry = _registered(
        repository.registry(),
        repository.metadata(record.task),
        released=candidate.version,
        entries={candidate.version: entry},
        states=states,
        verdict=_verdict(record, at),
    )
    changes[REGISTRY] = registry_text(registry)
    return changes


def _requalify(
    repository: PromptRepository, record: EvaluationRecord, arm: Arm, details: str, at: datetime
) -> Changes:
    """The champion passed on another model than it was released on: only its record changes."""
    registry = _registered(
        repository.registry(),
        repository.metadata(record.task),
        released=record.version,
        entries={record.version: _entry(record, arm, VersionState.RELEASED, at, details)},
        states={},
        verdict=_verdict(record, at),
    )
    return {**_evaluation_files(record, details), REGISTRY: registry_text(registry)}


def refuse(
    repository: PromptRepository, record: EvaluationRecord, details: str, at: datetime
) -> Changes:
    """A candidate that does not pass is logged in `04-evals` and named in the registry.

    A refusal that the registry knows already changes nothing, so it makes no second bot commit.
    """
    candidate = repository.candidate(record.task)
    arm = _measured(record, candidate)
    registry = repository.registry()
    known = registry.tasks.get(record.task)
    if (
        known is not None
        and known.verdict is not None
        and known.verdict.version == record.version
        and known.verdict.status == record.verdict.status
        and record.remembered
    ):
        return {}
    entries: dict[str, RegisteredVersion] = {}
    # A champion that fails on another model stays what git has released; activation refuses it.
    itself = known is not None and known.released == record.version
    if record.verdict.status is Status.BLOCK and not itself:
        reason = "; ".join(record.verdict.reasons)
        entries[record.version] = _entry(record, arm, VersionState.BLOCKED, at, details, reason)
    changed = _registered(
        registry,
        repository.metadata(record.task),
        released=known.released if known else None,
        entries=entries,
        states={},
        verdict=_verdict(record, at),
    )
    files = {} if itself else _evaluation_files(record, details)
    return {**files, REGISTRY: registry_text(changed)}


def downgrade(
    repository: PromptRepository, task: str, version: str, reason: str, at: datetime
) -> Changes:
    """An archived version becomes the released one again; the champion is archived.

    Raises:
        PromptHubError: the version is not in the archive, or nothing is released.
    """
    champion = _champion(repository, task)
    target = next((old for old in repository.archived(task) if old.version == version), None)
    if target is None:
        known = ", ".join(old.version for old in repository.archived(task)) or "none"
        raise PromptHubError(
            f"{task} {version} is not in the archive (archived: {known}).",
            hint="Name one of the archived versions.",
        )
    registry = _registered(
        repository.registry(),
        repository.metadata(task),
        released=version,
        entries={},
        states={version: VersionState.RELEASED, champion.version: VersionState.DOWNGRADED},
        reasons={champion.version: reason},
        at=at,
    )
    return {
        production_path(task): prompt_text(target),
        archive_path(task, version): None,
        archive_path(task, champion.version): prompt_text(champion, depth=2),
        REGISTRY: registry_text(registry),
    }


def archive(repository: PromptRepository, task: str, reason: str, at: datetime) -> Changes:
    """The released version retires with no successor; raises `PromptHubError` if there is none."""
    champion = _champion(repository, task)
    registry = _registered(
        repository.registry(),
        repository.metadata(task),
        released=None,
        entries={},
        states={champion.version: VersionState.ARCHIVED},
        reasons={champion.version: reason},
        at=at,
    )
    return {
        production_path(task): None,
        archive_path(task, champion.version): prompt_text(champion, depth=2),
        REGISTRY: registry_text(registry),
    }


def _champion(repository: PromptRepository, task: str) -> Prompt:
    champion = repository.production(task)
    if champion is None:
        raise PromptHubError(f"{task} has no released version.", hint="Promote one first.")
    return champion


def _measured(record: EvaluationRecord, candidate: Prompt) -> Arm:
    arm = record.candidate
    if arm is None or arm.sha256 != candidate.sha256 or record.version != candidate.version:
        raise PromptHubError(
            f"the evaluation record of {record.task} {record.version} does not speak of the"
            f" candidate {candidate.version} as it is now.",
            hint="Evaluate it again with eval_runner.py.",
            exit_code=ExitCode.BLOCKED,
        )
    return arm


def _evaluation_files(record: EvaluationRecord, details: str) -> dict[str, str | None]:
    path = f"prompts/{evaluation_path(record.task, record.version)}"
    return {path: record.to_json(), path.removesuffix(".json") + ".jsonl": details}


def _entry(
    record: EvaluationRecord,
    arm: Arm,
    state: VersionState,
    at: datetime,
    details: str,
    reason: str | None = None,
) -> RegisteredVersion:
    if record.verdict.overridden_by is not None:
        reason = f"overridden by {record.verdict.overridden_by}"
    return RegisteredVersion(
        state=state,
        sha256=arm.sha256,
        score=arm.score,
        threshold=record.threshold,
        model=RegisteredModel(alias=arm.alias, identity=arm.model),
        evaluation=evaluation_path(record.task, record.version),
        evaluation_sha256=evidence_sha256(record.to_json().encode(), details.encode()),
        commit=record.commit,
        at=at,
        reason=reason,
    )


def _verdict(record: EvaluationRecord, at: datetime) -> RegisteredVerdict:
    return RegisteredVerdict(
        status=record.verdict.status,
        version=record.version,
        score=record.candidate.score if record.candidate else None,
        baseline=record.baseline,
        at=at,
    )


def _registered(
    registry: Registry,
    metadata: Metadata,
    *,
    released: str | None,
    entries: Mapping[str, RegisteredVersion],
    states: Mapping[str, VersionState],
    reasons: Mapping[str, str] | None = None,
    verdict: RegisteredVerdict | None = None,
    at: datetime | None = None,
) -> Registry:
    """The registry with one task's versions, states and verdict changed."""
    known = registry.tasks.get(metadata.task)
    versions = {**(known.versions if known else {}), **entries}
    for version, state in states.items():
        update: dict[str, object] = {"state": state, "reason": (reasons or {}).get(version)}
        if at is not None:
            update["at"] = at
        versions[version] = versions[version].model_copy(update=update)
    current = versions[released] if released is not None else None
    task = RegisteredTask(
        owner=metadata.owner,
        description=metadata.description,
        released=released,
        sha256=current.sha256 if current else None,
        threshold=current.threshold if current else None,
        model=current.model if current else None,
        verdict=verdict or (known.verdict if known else None),
        versions=dict(sorted(versions.items(), key=lambda item: version_key(item[0]))),
    )
    tasks = dict(sorted({**registry.tasks, metadata.task: task}.items()))
    return registry.model_copy(update={"tasks": tasks})
