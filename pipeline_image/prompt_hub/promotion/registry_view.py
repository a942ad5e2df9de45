"""Where the versions of a task stand: what the registry says, and what it says after a move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from prompt_hub.gate.types import Status
from prompt_hub.promotion.registry_writer import registry_text
from prompt_hub.promotion.states import UNRELEASED, Decision, Event, State, TransitionContext, move
from prompt_hub.repository.reader import REGISTRY
from prompt_hub.repository.registry import (
    RegisteredTask,
    RegisteredVerdict,
    RegisteredVersion,
    Registry,
    VersionState,
)
from prompt_hub.repository.schema import Metadata, version_key


@dataclass(frozen=True)
class TaskRegistryView:
    """One task in the registry, read once for a whole move."""

    registry: Registry
    task: str

    @property
    def entry(self) -> RegisteredTask | None:
        """The task's entry, None before its first verdict."""
        return self.registry.tasks.get(self.task)

    @property
    def released(self) -> str | None:
        """The released version, None where nothing is released."""
        return self.entry.released if self.entry else None

    @property
    def verdict(self) -> RegisteredVerdict | None:
        """The last verdict on a candidate of the task."""
        return self.entry.verdict if self.entry else None

    def version(self, version: str) -> RegisteredVersion | None:
        """Return the entry of a version, None where the registry does not know it."""
        return self.entry.versions.get(version) if self.entry else None

    def state(self, version: str) -> State:
        """Where a version stands: `candidate` if the registry does not know it."""
        entry = self.version(version)
        return State(entry.state) if entry else State.CANDIDATE

    def reuse_blocker(self, version: str) -> str | None:
        """Why a candidate of this number comes too late, None where its number is still its own.

        It was released once, and superseded or taken out since.
        """
        entry = self.version(version)
        if entry is None or State(entry.state) in (*UNRELEASED, State.RELEASED):
            return None
        why = entry.reason or "no reason given"
        # The same words under another number are refused, too.
        mend = "mend the prompt and " if entry.state is VersionState.QUARANTINED else ""
        return f"{version} was {entry.state} ({why}); {mend}raise the version"

    def refused_before_archive(self, version: str) -> str | None:
        """Why a candidate may not take the place of an archived version, None where it may.

        It was refused beside a version that somebody has archived since: without that comparison
        it might pass, and the task that was taken out of service would go on with it.
        """
        if self.released is not None or self.state(version) not in UNRELEASED:
            return None
        verdict, blocked = self.verdict, self.version(version)
        if verdict is not None and verdict.version == version:
            status, refused_at = verdict.status, verdict.at
        elif blocked is not None:
            # The last verdict is that of another candidate.
            status, refused_at = Status.BLOCK.value, blocked.at
        else:
            return None
        if status == Status.PASS:
            return None
        for number, entry in self.entry.versions.items() if self.entry else ():
            if entry.state is VersionState.ARCHIVED and entry.at >= refused_at:
                return (
                    f"{version} was refused ({status}), and {number} was archived since"
                    f" ({entry.reason or 'no reason given'}); raise the version"
                )
        return None

    def transition(
        self,
        version: str,
        event: Event,
        decision: Decision | None = None,
        at: datetime | None = None,
    ) -> dict[str, RegisteredVersion]:
        """Return the entry of a version after `event`.

        A decision by hand is written down with its time.

        Raises:
            NotAllowedError: the table has no such move, or a guard of it does not hold.
        """
        case = TransitionContext(version=version, decision=decision)
        reached = move(self.task, self.state(version), event, case)
        entry = self.version(version)
        assert entry is not None, "the table has no such move for a candidate"
        update: dict[str, object] = {"state": VersionState(reached)}
        if decision is not None:
            person, reason = decision.person.strip(), decision.reason.strip()
            evidence = decision.evidence
            update |= {"person": person, "reason": reason, "at": at, "evidence": evidence}
        return {version: entry.model_copy(update=update)}

    def updated_registry(
        self,
        metadata: Metadata,
        versions: Mapping[str, RegisteredVersion],
        *,
        released: str | None,
        verdict: RegisteredVerdict | None = None,
    ) -> dict[str, str | None]:
        """Return the registry's file with these entries changed and `released` released.

        The last verdict stays where there is no new one.
        """
        every = {**(self.entry.versions if self.entry else {}), **versions}
        current = every[released] if released is not None else None
        task = RegisteredTask(
            owner=metadata.owner,
            description=metadata.description,
            released=released,
            sha256=current.sha256 if current else None,
            threshold=current.threshold if current else None,
            model=current.model if current else None,
            verdict=verdict or self.verdict,
            versions=dict(sorted(every.items(), key=lambda item: version_key(item[0]))),
        )
        tasks = dict(sorted({**self.registry.tasks, self.task: task}.items()))
        return {REGISTRY: registry_text(self.registry.model_copy(update={"tasks": tasks}))}
