"""`prompt_registry.yaml` as typed, frozen models: what git has decided about every version."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator

from prompt_hub.repository.schema import (
    Fraction,
    JsonObject,
    Moment,
    Sha256,
    Strict,
    TaskName,
    Version,
)


class VersionState(StrEnum):
    """What git has decided about a version; it never says "active" (that is the ledger's word)."""

    RELEASED = "released"
    SUPERSEDED = "superseded"
    DOWNGRADED = "downgraded"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    ARCHIVED = "archived"


class RegisteredModel(Strict):
    """A model by the name that prompts use, and by its own."""

    alias: str
    """The alias that the version asked for."""
    identity: str
    """The model that it was measured on."""


class RegisteredVersion(Strict):
    """One version in the registry."""

    state: VersionState
    """What git has decided about the version."""
    sha256: Sha256
    """Hash of the prompt's content."""
    score: Fraction | None
    """Mean score of its evaluation; null where it has none."""
    threshold: Fraction
    """The score that it had to reach."""
    model: RegisteredModel
    """The model that it was measured on."""
    evaluation: str
    """Path of its evaluation record, relative to prompts/."""
    evaluation_sha256: Sha256
    """Hash that seals its evaluation record and example results."""
    commit: str
    """Commit that was evaluated."""
    at: Moment
    """When this was decided."""
    reason: str | None = None
    """Why: the words of the person who decided, or of the gate that blocked."""
    person: str | None = Field(default=None, exclude_if=lambda person: person is None)
    """Who decided about it by hand or overrode the gate; `rollback (STAGE)` for a rollback."""
    evidence: JsonObject | None = Field(default=None, exclude_if=lambda found: found is None)
    """What a rollback decided on: its stage, the ledger's revision, the scores."""


class RegisteredVerdict(Strict):
    """The last verdict on a candidate of the task."""

    status: Literal["PASS", "BLOCK", "INCONCLUSIVE", "NOT_MEASURED"]
    """The verdict."""
    version: Version
    """The candidate's version."""
    score: Fraction | None
    """Its mean score; null where it has none."""
    baseline: Fraction | None
    """The score of the majority guess; null where it is not known."""
    at: Moment
    """When it was measured."""


class RegisteredTask(Strict):
    """What git has released of one task."""

    owner: str
    """Team or person who answers for the task."""
    description: str
    """What the task is, in a line."""
    released: Version | None
    """The released version; null where there is none."""
    sha256: Sha256 | None
    """Hash of its content."""
    threshold: Fraction | None
    """The score that it had to reach."""
    model: RegisteredModel | None
    """The model that it was measured on."""
    verdict: RegisteredVerdict | None
    """The last verdict on a candidate; null before the first."""
    versions: dict[Version, RegisteredVersion]
    """Every version that git knows, by its number."""

    @property
    def verdict_is_recorded(self) -> bool:
        """Whether the last verdict is that of its version's record in `04-evals`.

        A version that was released keeps the record that released it, whatever becomes of it. A
        later verdict that it fell short on another model stands in the registry alone.
        """
        if self.verdict is None:
            return False
        version = self.versions.get(self.verdict.version)
        if version is None or version.state is VersionState.BLOCKED:
            return True
        return self.verdict.status == "PASS" or self.verdict.at == version.at


class Registry(Strict):
    """`prompt_registry.yaml`: what git has released. Written only by promotion."""

    schema_: Annotated[Literal["prompt-hub/registry@1"], Field(alias="schema")]
    """The format of this file."""
    tasks: dict[TaskName, RegisteredTask] = Field(default={})
    """Every task that was ever released, or whose candidate had a verdict."""

    @field_validator("tasks")
    @classmethod
    def _released_is_known(cls, tasks: dict[str, RegisteredTask]) -> dict[str, RegisteredTask]:
        for name, task in tasks.items():
            if task.released is not None and task.released not in task.versions:
                raise ValueError(f"{name}: released {task.released} to be among its versions")
        return tasks

    def to_file(self) -> JsonObject:
        """Return the registry as it stands in the file."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True)
        return dumped
