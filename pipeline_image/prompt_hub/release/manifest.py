"""What a release carries: the champions, ways back, and what a stage may still have live."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import head_commit
from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRef, timestamp
from prompt_hub.llm.config import drill_model
from prompt_hub.release.drill_repository import drill_repository
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredModel, RegisteredTask, Registry, VersionState
from prompt_hub.repository.schema import (
    Fraction,
    Prompt,
    Sha256,
    Strict,
    TaskName,
    Version,
    version_key,
)

if TYPE_CHECKING:
    from prompt_hub.evaluation.results import Results
    from prompt_hub.promotion.write_back import StageWord

ARCHIVED_VERSIONS_KEPT = 5
"""How many archived versions of each task an image carries, whatever the stages have live."""


class CarriedVersion(Strict):
    """One version in the image: what git knows of it, and `decided_at`, when git last decided.

    `decided_by` names who did, where it was not the gate. `answered_by` is what the models called
    themselves that answered at the gate; empty where its record does not say.
    """

    version: Version
    sha256: Sha256
    state: VersionState
    threshold: Fraction
    score: Fraction | None
    model: RegisteredModel
    decided_at: datetime
    decided_by: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None
    answered_by: Annotated[tuple[str, ...], Field(exclude_if=lambda names: not names)] = ()

    @property
    def reference(self) -> VersionRef:
        """Version and hash, as the ledger names them."""
        return VersionRef(version=self.version, sha256=self.sha256)


class CarriedTask(Strict):
    """The versions of one task: the champion first, if there is one, then newest first."""

    champion: Version | None
    versions: tuple[CarriedVersion, ...]

    def version(self, version: str | None) -> CarriedVersion | None:
        """Return the entry of `version`, `None` if the image does not carry it."""
        return next(
            (
                carried_version
                for carried_version in self.versions
                if carried_version.version == version
            ),
            None,
        )

    @property
    def way_back(self) -> CarriedVersion | None:
        """Where the first rollback would go: the newest version that the champion superseded."""
        champion = self.champion
        if champion is None:
            return None
        return next(
            (
                version
                for version in self.versions
                if version.state is VersionState.SUPERSEDED
                and version_key(version.version) < version_key(champion)
            ),
            None,
        )


class Quarantine(Strict):
    """A version that did harm, in git or in a stage, and who took it out, when and why."""

    sha256: Sha256
    by: str
    reason: str
    at: datetime


class Release(Strict):
    """The manifest of one release; `made_at` orders releases, `commit` holds the tree.

    `quarantined` is what git or any stage had quarantined when the image was made, by task and
    version: whatever a ledger says or has forgotten, only a named person serves it again.
    """

    schema_: Annotated[Literal["prompt-hub/release@1"], Field(alias="schema")]
    release: Annotated[str, Field(min_length=1)]
    commit: str
    made_at: datetime
    tasks: dict[TaskName, CarriedTask]
    quarantined: Annotated[
        dict[TaskName, dict[Version, Quarantine]],
        Field(default={}, exclude_if=lambda found: not found),
    ]

    def quarantine(self, task: str, sha256: str) -> str | None:
        """Say which version did harm with this very content, `None` if none did.

        None either where a person has released that content since, whatever its number.
        """
        for version, found in self.quarantined.get(task, {}).items():
            if found.sha256 == sha256 and not self._released_knowingly(task, found):
                return f"{version} is quarantined by {found.by} since {timestamp(found.at)}"
        return None

    def _released_knowingly(self, task: str, harm: Quarantine) -> bool:
        # What promotes knows evaluation and scoring, which a service that starts does without.
        from prompt_hub.promotion.write_back import by_rollback

        carried = self.tasks.get(task)
        return carried is not None and any(
            version.sha256 == harm.sha256
            and version.state in {VersionState.RELEASED, VersionState.SUPERSEDED}
            and version.decided_by is not None
            and not by_rollback(version.decided_by)
            and version.decided_at > harm.at
            for version in carried.versions
        )

    def way_back(self, name: str) -> CarriedVersion | None:
        """Where the first rollback of a task would go: never to what is quarantined."""
        task = self.tasks[name]
        harmless = tuple(v for v in task.versions if self.quarantine(name, v.sha256) is None)
        return task.model_copy(update={"versions": harmless}).way_back

    def champions(self) -> dict[str, VersionRef]:
        """Return what git had released when the image was made, by task."""
        return {
            name: champion.reference
            for name, task in self.tasks.items()
            if (champion := task.version(task.champion)) is not None
        }

    def snapshot(self) -> dict[str, VersionRef]:
        """Return what is served where no ledger can be asked: champions, or their ways back.

        A task of which everything is quarantined is not among them.
        """
        served = {}
        for name, task in self.tasks.items():
            champion = task.version(task.champion)
            if champion is not None and self.quarantine(name, champion.sha256) is not None:
                champion = self.way_back(name)
            if champion is not None:
                served[name] = champion.reference
        return served

    @property
    def reference(self) -> ReleaseRef:
        """The release as the ledger names it."""
        return ReleaseRef(release=self.release, made_at=timestamp(self.made_at))

    def carries(self) -> dict[str, dict[str, str]]:
        """Hash by version by task."""
        return {
            name: {version.version: version.sha256 for version in task.versions}
            for name, task in self.tasks.items()
        }


def build_manifest(
    repository: PromptRepository,
    *,
    release: str,
    commit: str,
    made_at: datetime,
    live: Collection[Pointer] = (),
    words: Collection[StageWord] = (),
    kept: int = ARCHIVED_VERSIONS_KEPT,
) -> Release:
    """Return the manifest of the tree in `repository`.

    Raises `PromptHubError` where layers disagree.

    `live` is every pointer of every stage: what is active is carried, be it quarantined in git, for
    taking it out of service is activation's business; ways back unless they are quarantined.
    `words` is what every stage says about versions.
    """
    registry = repository.registry()
    judges = pinned_judges(repository)
    return Release(
        schema_="prompt-hub/release@1",
        release=release,
        commit=commit,
        made_at=made_at,
        tasks={
            name: _carried(repository, name, task, kept, judges, live)
            for name, task in registry.tasks.items()
        },
        quarantined=_quarantined(registry, words),
    )


def _quarantined(
    registry: Registry, words: Collection[StageWord]
) -> dict[str, dict[str, Quarantine]]:
    """Return what git has quarantined, and what stages have since."""
    found = {
        name: {
            version: Quarantine(
                sha256=entry.sha256,
                by=entry.person or "git",
                reason=entry.reason or "",
                at=entry.at,
            )
            for version, entry in task.versions.items()
            if entry.state is VersionState.QUARANTINED
        }
        for name, task in registry.tasks.items()
    }
    for word in _standing(words, registry):
        quarantine = Quarantine(
            sha256=word.version.sha256,
            by=f"rollback ({word.stage})",
            reason=word.reason,
            at=word.moment,
        )
        found.setdefault(word.task, {}).setdefault(word.version.version, quarantine)
    return {name: versions for name, versions in found.items() if versions}


def _standing(words: Collection[StageWord], registry: Registry) -> list[StageWord]:
    if not words:
        return []
    from prompt_hub.promotion.write_back import standing_quarantines

    return standing_quarantines(words, registry)


def describe_promoted(
    repository: PromptRepository,
    results: Results,
    release: str,
    live: Collection[Pointer],
    words: Collection[StageWord] = (),
) -> Release:
    """Return the manifest of the release that the execution `release` promoted.

    `live` and `words` as in `build_manifest`.

    Raises `PromptHubError` if that execution left no promotion record.
    """
    from prompt_hub.promotion.promoter import promotion_by

    promotion = promotion_by(results, release)
    built = build_manifest(
        repository,
        release=release,
        commit=promotion.released_commit,
        made_at=promotion.at,
        live=live,
        words=words,
    )
    tasks = {**built.tasks, aws_names.DRILL_TASK: carried_for_drills()}
    return built.model_copy(update={"tasks": tasks})


def carried_for_drills() -> CarriedTask:
    """Return what every image carries for the rollback drill; git has nothing of it released."""
    repository = drill_repository()
    threshold = repository.metadata(aws_names.DRILL_TASK).threshold
    asked = drill_model()
    model = RegisteredModel(alias=asked.alias, identity=asked.identity)
    return CarriedTask(
        champion=None,
        versions=tuple(
            CarriedVersion(
                version=prompt.version,
                sha256=prompt.sha256,
                state=VersionState.SUPERSEDED,
                threshold=threshold,
                score=None,
                model=model,
                decided_at=prompt.lock.promoted_at,
            )
            for prompt in repository.archived(aws_names.DRILL_TASK)
            if prompt.lock is not None
        ),
    )


def load_manifest(results: Results, release: str) -> Release:
    """Return the manifest that the Image action wrote: what the image really carries.

    Raises `PromptHubError` if there is none.
    """
    key, hint = aws_names.manifest_key(release), "Look at its Image action."
    text = results.get(key)
    if text is None:
        raise PromptHubError(f"release {release} has no manifest.", hint=hint)
    return parse_model(text, key, Release, hint=hint)


def not_carried(release: Release, pointer: Pointer) -> list[str]:
    """Return what a stage has live and the image lacks, in words.

    Git has it no longer, or forbids it.
    """
    carries = release.carries().get(pointer.task, {})
    wanted = [(pointer.active, "active"), (pointer.previous, "as its way back")]
    return [
        f"{pointer.task} {item.version} {role}"
        for item, role in wanted
        if item is not None and carries.get(item.version) != item.sha256
    ]


def load(root: Path) -> Release:
    """Return the manifest baked into the image.

    A checkout without one is described as it stands.
    """
    path = root / aws_names.RELEASE_FILE
    if path.exists():
        try:
            return Release.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise unreadable_manifest(path, error) from None
    return build_manifest(
        PromptRepository(root),
        release="checkout",
        commit=head_commit(root),
        made_at=datetime.now(UTC),
    )


def unreadable_manifest(path: Path, error: ValueError) -> PromptHubError:
    """Say what is wrong with the manifest in an image, and what to do."""
    return PromptHubError(
        f"{path} cannot be read: {error}.",
        hint="Delete it in a checkout, rebuild the image where it is part of one.",
    )


VersionKey = tuple[str, str]
"""Task and version."""


def pinned_judges(repository: PromptRepository) -> frozenset[VersionKey]:
    """Return the versions that metadata pins as judges: the score watch needs them in the image."""
    settings = (repository.metadata(task).judge for task in repository.tasks())
    return frozenset((judge.task, judge.version) for judge in settings if judge is not None)


def _carried(
    repository: PromptRepository,
    name: str,
    task: RegisteredTask,
    kept: int,
    judges: frozenset[VersionKey],
    live: Collection[Pointer],
) -> CarriedTask:
    champion = repository.production(name)
    if (champion.version if champion else None) != task.released:
        raise PromptHubError(
            f"{name}: the registry has {task.released} released, 02-production has "
            f"{champion.version if champion else 'nothing'}.",
            hint="Run prompt-hub validate.",
            exit_code=ExitCode.BLOCKED,
        )
    active = {item.active for item in live if item.task == name}
    ways_back = {pointer.previous for pointer in live if pointer.task == name}
    carried = [] if champion is None else [_entry(repository, name, task, champion)]
    for prompt in repository.archived(name):
        old = _entry(repository, name, task, prompt)
        if old.state is VersionState.QUARANTINED:
            wanted = old.reference in active
        else:
            kept -= 1
            wanted = (
                kept >= 0
                or (name, old.version) in judges
                or old.reference in active
                or old.reference in ways_back
            )
        if wanted:
            carried.append(old)
    return CarriedTask(champion=task.released, versions=tuple(carried))


def _entry(
    repository: PromptRepository, name: str, task: RegisteredTask, prompt: Prompt
) -> CarriedVersion:
    known = task.versions.get(prompt.version)
    if known is None or known.sha256 != prompt.sha256:
        raise PromptHubError(
            f"{name} {prompt.version} is not in the registry with its hash {prompt.sha256}.",
            hint="Run prompt-hub validate.",
            exit_code=ExitCode.BLOCKED,
        )
    return CarriedVersion(
        version=prompt.version,
        sha256=prompt.sha256,
        state=known.state,
        threshold=known.threshold,
        score=known.score,
        model=known.model,
        decided_at=known.at,
        decided_by=known.person,
        answered_by=_answered_by(repository, known.evaluation, prompt.sha256),
    )


def _answered_by(repository: PromptRepository, evaluation: str, sha256: str) -> tuple[str, ...]:
    """Return which models answered at the gate, as the record of the version says.

    Only what is asked of a record is read of it: an image may carry thousands of versions. One that
    does not say it does not stop the image.
    """
    try:
        record = json.loads((repository.prompts / evaluation).read_bytes())
    except (OSError, ValueError):
        return ()
    match record:
        case {"candidate": {"sha256": str(measured), "answered_by": [*names]}}:
            return tuple(map(str, names)) if measured == sha256 else ()
    return ()
