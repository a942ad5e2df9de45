"""All prompts and their versions, as git has released them: what catalogue and changelog say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.store import logged_record
from prompt_hub.gate.types import Status
from prompt_hub.ledger.items import Pointer
from prompt_hub.promotion.states import UNRELEASED, State
from prompt_hub.reporting import words
from prompt_hub.reporting.prompt_diff import Difference, differences
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask
from prompt_hub.repository.schema import Metadata, Prompt, version_key

OpenState = Literal[State.CANDIDATE, "left open"]
"""What a version is that was evaluated, and neither released nor blocked."""


@dataclass(frozen=True)
class CatalogueVersion:
    """One version of a prompt.

    `description` and `changes` (from `before`, the version that it was judged beside, or else the
    one that comes before it by number) are None where its text is not kept:
    a candidate that was refused or left open is logged, but not archived. `status` is the verdict
    that was given on it.
    """

    version: str
    state: State | OpenState
    score: float | None
    threshold: float
    at: datetime
    reason: str | None
    person: str | None
    """Who decided, where it was not the gate."""
    status: Status | None
    champion_score: float | None
    description: str | None
    before: str | None
    changes: tuple[Difference, ...] | None
    judged: datetime
    """When it was measured; after a downgrade that is no order of numbers."""
    evaluated: bool = False
    """Whether its evaluation is kept."""

    @property
    def was_released(self) -> bool:
        """Whether it ever was the released version."""
        return self.state not in (*UNRELEASED, "left open")

    @property
    def decision(self) -> str:
        """Why it is in its state, and who decided so; empty where nobody said anything."""
        return "; ".join(filter(None, (self.reason, self.person and f"decided by {self.person}")))


@dataclass(frozen=True)
class ServedVersion:
    """What the ledger of a stage serves of a task: after a rollback it is not what git released."""

    stage: str
    pointer: Pointer

    @property
    def in_words(self) -> str:
        """The version, whether releases may move it, and who chose it, when and why."""
        pointer = self.pointer
        frozen = " (frozen)" if pointer.frozen else ""
        served = "nothing, it is retired" if pointer.retired else f"{pointer.version}{frozen}"
        chosen = f"by {pointer.changed_by}, {pointer.at[:10]}"
        return f"{self.stage} serves {served}: {chosen}: {pointer.reason}"


@dataclass(frozen=True)
class CatalogueTask:
    """One task: what is released of it, and every version, the newest first.

    `baseline` is what the best constant answer scored when a candidate was last judged. `served` is
    None where no stage was asked, or it has nothing of the task.
    """

    name: str
    owner: str
    description: str
    model: str | None
    baseline: float | None
    released: CatalogueVersion | None
    versions: tuple[CatalogueVersion, ...]
    served: ServedVersion | None = None

    @property
    def scores(self) -> list[tuple[float, CatalogueVersion]]:
        """Every measured version with its score, the first that was judged first."""
        versions = sorted(self.versions, key=lambda one: (one.judged, version_key(one.version)))
        return [(one.score, one) for one in versions if one.score is not None]

    @property
    def searchable(self) -> str:
        """What people look a task up by."""
        texts = [self.name, self.owner, self.description, self.model or ""]
        texts += [
            f"{version.version} {version.state} {version.description or ''}"
            for version in self.versions
        ]
        texts += [self.served.in_words] if self.served else []
        return " ".join(texts).lower()


def with_stage(
    tasks: Sequence[CatalogueTask], stage: str, pointers: Mapping[str, Pointer]
) -> tuple[CatalogueTask, ...]:
    """Return the tasks with what a stage serves of each."""
    return tuple(
        replace(task, served=ServedVersion(stage, pointers[task.name]))
        if task.name in pointers
        else task
        for task in tasks
    )


def read_catalogue(evaluations: Evaluations) -> tuple[CatalogueTask, ...]:
    """Every task of the registry, and those that have nothing released yet, by name.

    Raises:
        PromptHubError: the registry, or a released or archived prompt, is not what it should be.
    """
    repository = evaluations.repository
    registered = repository.registry().tasks
    tasks = [_registered(evaluations, name, entry) for name, entry in registered.items()]
    for name in repository.tasks():
        if name not in registered:
            metadata = repository.metadata(name)
            tasks.append(
                CatalogueTask(name, metadata.owner, metadata.description, None, None, None, ())
            )
    return tuple(sorted(tasks, key=lambda task: task.name))


def _registered(evaluations: Evaluations, name: str, entry: RegisteredTask) -> CatalogueTask:
    kept = {
        version: prompt
        for version, prompt in _kept(evaluations.repository, name).items()
        if version in entry.versions and prompt.sha256 == entry.versions[version].sha256
    }
    versions: list[CatalogueVersion] = []
    lower: Prompt | None = None
    for version in sorted({*entry.versions, *evaluations.logged(name)}, key=version_key):
        known, prompt = entry.versions.get(version), kept.get(version)
        record = logged_record(evaluations.repository, name, version)
        if known is None:
            versions += [_undecided(record, entry.released)] if record else []
            continue
        before = _judged_beside(record, kept, entry) or lower
        versions.append(
            CatalogueVersion(
                version=version,
                state=State(known.state),
                score=known.score,
                threshold=known.threshold,
                at=known.at,
                reason=known.reason,
                person=known.person,
                status=record.verdict.status if record else None,
                champion_score=record.champion.score if record and record.champion else None,
                description=prompt.description if prompt else None,
                before=before.version if prompt and before else None,
                changes=differences(before, prompt) if prompt and before else None,
                judged=record.finished_at if record else known.at,
                evaluated=record is not None,
            )
        )
        lower = prompt or lower
    people = _metadata(evaluations.repository, name) or entry
    return CatalogueTask(
        name=name,
        owner=people.owner,
        description=people.description,
        model=entry.model.identity if entry.model else None,
        baseline=entry.verdict.baseline if entry.verdict else None,
        released=next(
            (
                catalogue_version
                for catalogue_version in versions
                if catalogue_version.version == entry.released
            ),
            None,
        ),
        versions=tuple(reversed(versions)),
    )


def _judged_beside(
    record: EvaluationRecord | None, kept: Mapping[str, Prompt], entry: RegisteredTask
) -> Prompt | None:
    """Return the version that was released when another was judged; None where it is not known.

    After a downgrade it is not the next lower one. A record of the champion itself, on another
    model, says nothing of it.
    """
    if record is None:
        return None
    named = record.champion.version if record.champion else None
    for version, prompt in kept.items():
        beside = version == named or entry.versions[version].sha256 == record.champion_sha256
        if beside and version != record.version:
            return prompt
    return None


def open_state(version: str, released: str | None) -> OpenState:
    """Return what an undecided version is: only a newer one than the released may be released."""
    if released is None or version_key(version) > version_key(released):
        return State.CANDIDATE
    return "left open"


def _undecided(record: EvaluationRecord, released: str | None) -> CatalogueVersion:
    """Return a candidate of which git has the evaluation alone: neither released nor blocked."""
    return CatalogueVersion(
        version=record.version,
        state=open_state(record.version, released),
        score=record.candidate.score if record.candidate else None,
        threshold=record.threshold,
        at=record.finished_at,
        reason="; ".join(words.reasons(record)),
        person=None,
        status=record.verdict.status,
        champion_score=record.champion.score if record.champion else None,
        description=None,
        before=None,
        changes=None,
        judged=record.finished_at,
        evaluated=True,
    )


def _metadata(repository: PromptRepository, task: str) -> Metadata | None:
    """Return what people say of a task today; None where they say nothing that can be read.

    The registry has their words as of the last move, which may be years ago.
    """
    try:
        return repository.metadata(task)
    except PromptHubError:
        return None


def _kept(repository: PromptRepository, task: str) -> dict[str, Prompt]:
    champion = repository.production(task)
    prompts = (*repository.archived(task), *((champion,) if champion else ()))
    return {prompt.version: prompt for prompt in prompts}
