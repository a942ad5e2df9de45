"""All prompts and their versions, as git has released them: what catalogue and changelog say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from prompt_hub.evaluation.store import logged_record
from prompt_hub.gate.types import Status
from prompt_hub.reporting.prompt_diff import Difference, differences
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask, VersionState
from prompt_hub.repository.schema import Prompt, version_key


@dataclass(frozen=True)
class CatalogueVersion:
    """One version of a prompt.

    `description` and `changes` (from the version `before`) are None where its text is not kept:
    a blocked candidate is logged, but not archived. `status` is the verdict that was given on it.
    """

    version: str
    state: VersionState
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
    evaluated: bool = False
    """Whether its evaluation is kept."""

    @property
    def decision(self) -> str:
        """Why it is in its state, and who decided so; empty where nobody said anything."""
        return "; ".join(filter(None, (self.reason, self.person and f"decided by {self.person}")))


@dataclass(frozen=True)
class CatalogueTask:
    """One task: what is released of it, and every version, the newest first.

    `baseline` is what the best constant answer scored when a candidate was last judged.
    """

    name: str
    owner: str
    description: str
    model: str | None
    baseline: float | None
    released: CatalogueVersion | None
    versions: tuple[CatalogueVersion, ...]

    @property
    def scores(self) -> list[tuple[float, CatalogueVersion]]:
        """Every measured version with its score, the oldest first."""
        return [(one.score, one) for one in reversed(self.versions) if one.score is not None]

    @property
    def searchable(self) -> str:
        """What people look a task up by."""
        words = [self.name, self.owner, self.description, self.model or ""]
        words += [
            f"{version.version} {version.state} {version.description or ''}"
            for version in self.versions
        ]
        return " ".join(words).lower()


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
    kept = _kept(evaluations.repository, name)
    versions: list[CatalogueVersion] = []
    before: Prompt | None = None
    for version in sorted(entry.versions, key=version_key):
        known = entry.versions[version]
        prompt = kept.get(version)
        if prompt is not None and prompt.sha256 != known.sha256:
            prompt = None
        record = logged_record(evaluations.repository, name, version)
        versions.append(
            CatalogueVersion(
                version=version,
                state=known.state,
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
                evaluated=record is not None,
            )
        )
        before = prompt or before
    return CatalogueTask(
        name=name,
        owner=entry.owner,
        description=entry.description,
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


def _kept(repository: PromptRepository, task: str) -> dict[str, Prompt]:
    champion = repository.production(task)
    prompts = (*repository.archived(task), *((champion,) if champion else ()))
    return {prompt.version: prompt for prompt in prompts}
