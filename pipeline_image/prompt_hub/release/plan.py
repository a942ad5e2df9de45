"""Which pointers a release moves, and why it leaves the others: pure.

Activation reconciles: the release's champion is desired for every task, so a retry or a later
release heals a failed activation. What the rollback or a person decided stays as it is until git
decides anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Pointer, VersionRecord, VersionRef, timestamp
from prompt_hub.promotion.write_back import by_rollback
from prompt_hub.release.manifest import CarriedTask, CarriedVersion, Release
from prompt_hub.repository.registry import VersionState

BY = "pipeline"
"""Who, in a ledger, makes the moves of a release."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    """The first pointer of a task; `previous` is where its first rollback would go."""

    task: str
    to: VersionRef
    previous: VersionRef | None


@dataclass(frozen=True, kw_only=True)
class NoWayBack:
    """Why the version that is left is not where a rollback may go; `code` as the Lambda's."""

    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Move:
    """A pointer that goes to another version."""

    task: str
    to: VersionRef
    left: VersionRef
    seen: int
    """The pointer's revision that this was decided on."""
    no_way_back: NoWayBack | None
    """Why the version that is left does not become the way back; None where it does."""


@dataclass(frozen=True, kw_only=True)
class Retire:
    """A task that git has nothing released for: what is active here goes out of service."""

    task: str
    left: VersionRef
    seen: int


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A task that is left alone; `code` for programs, `reason` for people."""

    task: str
    code: str
    reason: str


Step = Seed | Move | Retire | Skip


@dataclass(frozen=True, kw_only=True)
class StageState:
    """What the stage says before an activation."""

    pointers: Mapping[str, Pointer]
    retired: Mapping[str, Pointer]
    """The pointers of tasks that were taken out of service."""
    versions: Mapping[str, Mapping[str, VersionRecord]]
    models: Mapping[str, str]
    """Identity of the model behind each alias here; one that is missing is not configured."""
    earlier: Mapping[str, Mapping[str, Mapping[str, VersionRecord]]] = field(default_factory=dict)
    """What the stages that a release passes before this one know: by stage, task and version."""

    def taken_out_earlier(self, task: str, reference: VersionRef) -> str | None:
        """Say which earlier stage has taken `reference` out, who did and why; `None` if none."""
        for stage, tasks in self.earlier.items():
            record = tasks.get(task, {}).get(reference.version)
            if record is not None and record.state.taken_out and record.sha256 == reference.sha256:
                return (
                    f"stage {stage} has {record.version} {record.state.value} since {record.at} by "
                    f"{record.by} ({record.reason})"
                )
        return None


def plan(release: Release, stage: StageState) -> list[Step]:
    """One step for each task that the release or the stage knows, the drill's own left out."""
    names = {*release.tasks, *stage.pointers} - {aws_names.DRILL_TASK}
    return [_step(release, name, stage) for name in sorted(names)]


def _step(release: Release, name: str, stage: StageState) -> Step:
    pointer = stage.pointers.get(name)
    task = release.tasks.get(name)
    desired = task.version(task.champion) if task else None
    if task is None or desired is None:
        return _without_release(release, name, task, pointer, stage)
    if pointer is not None and pointer.active == desired.reference:
        reason = f"{desired.version} is active already"
        if out := stage.taken_out_earlier(name, desired.reference):
            reason += f", although {out}"
        return Skip(task=name, code="active-already", reason=reason)
    obstacle = _obstacle(release, name, desired, pointer, stage)
    if obstacle is not None:
        return obstacle
    if pointer is None:
        previous = release.way_back(name)
        if previous is not None and not _may_be_way_back(name, previous, stage):
            previous = None
        return Seed(
            task=name,
            to=desired.reference,
            previous=previous.reference if previous is not None else None,
        )
    return Move(
        task=name,
        to=desired.reference,
        left=pointer.active,
        seen=pointer.revision,
        no_way_back=_no_way_back(
            task,
            pointer.active,
            stage.taken_out_earlier(name, pointer.active)
            or release.quarantine(name, pointer.active.sha256),
        ),
    )


def _may_be_way_back(name: str, previous: CarriedVersion, stage: StageState) -> bool:
    """Whether no stage has taken `previous` out, nor this one known other content by its number."""
    record = stage.versions.get(name, {}).get(previous.version)
    if record is not None and (record.state.taken_out or record.sha256 != previous.sha256):
        return False
    return stage.taken_out_earlier(name, previous.reference) is None


def _without_release(
    release: Release,
    name: str,
    task: CarriedTask | None,
    pointer: Pointer | None,
    stage: StageState,
) -> Step:
    if pointer is None:
        return Skip(task=name, code="nothing-released", reason="git has no version of it released")
    return (
        _archived_after_rollback(name, task, pointer, stage)
        or _frozen(name, pointer)
        or _older(release, name, pointer)
        or Retire(task=name, left=pointer.active, seen=pointer.revision)
    )


def _archived_after_rollback(
    name: str, task: CarriedTask | None, pointer: Pointer, stage: StageState
) -> Skip | None:
    """Keep what a stage went back to, where what git archived had been taken out here before.

    Whoever archived meant the version that did harm; its way back is somebody else's decision.
    """
    archived = [v for v in task.versions if v.state is VersionState.ARCHIVED] if task else []
    if not archived:
        return None
    last = max(archived, key=lambda version: version.decided_at)
    record = stage.versions.get(name, {}).get(last.version)
    if last.reference == pointer.active or record is None or not record.state.taken_out:
        return None
    return Skip(
        task=name,
        code="archived-after-rollback",
        reason=f"git archived {last.version}, which was {record.state.value} here already; "
        f"{pointer.version} stays active until it is archived by its own number",
    )


def _no_way_back(task: CarriedTask, left: VersionRef, harm: str | None) -> NoWayBack | None:
    carried = task.version(left.version)
    if carried is None or carried.reference != left:
        return NoWayBack(
            code="way-back-not-carried", reason=f"the image does not carry {left.version}"
        )
    if carried.state is not VersionState.SUPERSEDED:
        return NoWayBack(
            code="way-back-taken-out", reason=f"git has {left.version} {carried.state.value}"
        )
    if harm is not None:
        return NoWayBack(code="way-back-taken-out", reason=harm)
    return None


def _obstacle(
    release: Release,
    name: str,
    desired: CarriedVersion,
    pointer: Pointer | None,
    stage: StageState,
) -> Skip | None:
    """Why `desired` is not activated now, or `None`."""

    def skip(code: str, reason: str) -> Skip:
        return Skip(task=name, code=code, reason=reason)

    record = stage.versions.get(name, {}).get(desired.version)
    if record is not None and record.sha256 != desired.sha256:
        return skip(
            "other-content",
            f"{desired.version} is known here with other content since {record.at}, as of an "
            "earlier task of this name; release it under a number that this stage has not had",
        )
    if record is not None and record.state.taken_out:
        return skip(
            record.state.value,
            f"{desired.version} is {record.state.value} since {record.at} by {record.by} "
            f"({record.reason}); only a named override brings it back",
        )
    if out := stage.taken_out_earlier(name, desired.reference):
        return skip("taken-out-earlier", f"{out}; only a named override brings it into this one")
    if harm := release.quarantine(name, desired.sha256):
        return skip(
            "quarantined-in-release",
            f"{harm}, as this release knows; only a named override in git brings it here",
        )
    here = stage.models.get(desired.model.alias)
    if here != desired.model.identity:
        return skip(
            "other-model",
            f"{desired.version} was measured on {desired.model.identity}, but "
            f"{desired.model.alias} is {here or 'not configured'} in this stage",
        )
    if pointer is None:
        parked = stage.retired.get(name)
        return None if parked is None else _older(release, name, parked)
    held = _frozen(name, pointer) or _older(release, name, pointer)
    if held is not None:
        return held
    chosen = stage.versions.get(name, {}).get(pointer.version)
    if chosen is not None and chosen.by == BY:
        # A release made this one active, and one that is no older wants another: git has decided
        # since. What `at` says is older where a command was run before that release and merged
        # after it, or a stage's rollback was undone while Promote was at work.
        return None
    if chosen is not None and chosen.by not in aws_names.AUTOMATION:
        # What `at` says decides nothing against a person: a new measurement moves it, an edit, too.
        left_by_person = record is not None and record.by not in aws_names.AUTOMATION
        # A rollback in another stage releases what it went back to: nobody chose that for here.
        by = desired.decided_by
        unsigned = left_by_person and (by is None or by_rollback(by))
        if unsigned or timestamp(desired.decided_at) <= chosen.at:
            return skip(
                "moved-since",
                f"{chosen.by} chose {chosen.version} by hand ({chosen.reason}), and nobody has "
                f"decided anew about {desired.version} in git",
            )
    if timestamp(desired.decided_at) <= pointer.release.made_at:
        return skip(
            "moved-since",
            f"{pointer.changed_by} moved it to {pointer.version} since ({pointer.reason}), and git "
            f"has decided nothing new about {desired.version}",
        )
    return None


def _frozen(name: str, pointer: Pointer) -> Skip | None:
    if not pointer.frozen:
        return None
    return Skip(task=name, code="frozen", reason=f"it is {pointer.freeze_in_words}")


def _older(release: Release, name: str, pointer: Pointer) -> Skip | None:
    if timestamp(release.made_at) >= pointer.release.made_at:
        return None
    return Skip(
        task=name,
        code="older-release",
        reason=f"this release was made at {release.made_at.isoformat()}, before release "
        f"{pointer.release.release} that moved it last",
    )
