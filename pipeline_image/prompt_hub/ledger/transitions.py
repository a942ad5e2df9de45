"""What each change of the ledger writes: pure functions from a task's state to a `Change`.

A `Change` says what it writes and what it believes to be there; the table writes all of it in one
transaction, or nothing where the belief no longer holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import TakenOutError, TransitionRefusedError
from prompt_hub.ledger.items import (
    Event,
    EventKind,
    Notify,
    Pointer,
    ReleaseRef,
    VersionRecord,
    VersionRef,
    VersionState,
)


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """What the ledger says about one task, and the revision of the whole ledger.

    `pointer` may be one that is retired; `live` is the one that has something active.
    """

    task: str
    revision: int
    pointer: Pointer | None
    versions: Mapping[str, VersionRecord] = field(default_factory=dict)

    @property
    def live(self) -> Pointer | None:
        """The pointer, `None` where nothing is active."""
        return None if self.pointer is None or self.pointer.retired else self.pointer


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Who changes the ledger, when, and why; `code` is the reason for programs."""

    by: str
    reason: str
    at: str
    code: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One transaction: the state it was decided on, and everything that it writes.

    `pointer` is `None` where the change leaves the pointer as it is.
    """

    before: TaskState
    pointer: Pointer | None
    versions: tuple[VersionRecord, ...]
    event: Event


def seed(
    state: TaskState,
    to: VersionRef,
    *,
    previous: VersionRef | None,
    release: ReleaseRef,
    cause: Cause,
) -> Change:
    """Give a task that has nothing active its first pointer, or its first after it was retired.

    `previous` is the version that a rollback would go to; it becomes `superseded`. Raises
    `TransitionRefusedError` when something is active already, or one of the two was taken out.
    """
    if state.live is not None:
        raise TransitionRefusedError(
            f"{state.task} has version {state.live.version} active already"
        )
    records = []
    for reference, registry_view in (
        (to, VersionState.ACTIVE),
        (previous, VersionState.SUPERSEDED),
    ):
        if reference is not None:
            _refuse_other_content(state, reference)
            _refuse_taken_out(state, reference.version)
            records.append(_record(state.task, reference, registry_view, cause))
    return _change(
        state,
        EventKind.SEEDED,
        cause,
        reached=to,
        pointer=_pointer(state, to, previous=previous, release=release, cause=cause),
        versions=tuple(records),
        notify=Notify.NOT_NEEDED,
    )


def activate(
    state: TaskState,
    to: VersionRef,
    *,
    release: ReleaseRef,
    cause: Cause,
    keep_way_back: bool = True,
    override: bool = False,
) -> Change:
    """Move the pointer to `to`; the version it leaves becomes `superseded` and the way back.

    `keep_way_back` is false where the version that is left must not be rolled back to.
    `override` is a person's decision to bring back a version that was taken out, be the task
    retired since, or to move a frozen task; without it all raise `TransitionRefusedError`. After an
    override there is no way back: the score watch would otherwise undo within minutes what a person
    decided knowing the score.
    """
    pointer = _moving(state, to, or_retired=override)
    if override and (not cause.by.strip() or aws_names.is_automation(cause.by)):
        raise TransitionRefusedError("an override needs a person who answers for it")
    if not override:
        _refuse_taken_out(state, to.version)
        if pointer.frozen:
            raise TransitionRefusedError(f"{state.task} is {pointer.freeze_in_words}")
    moved = _pointer(
        state,
        to,
        previous=pointer.active if keep_way_back and not override else None,
        release=release,
        cause=cause,
        freeze_of=pointer,
    )
    records = [_record(state.task, to, VersionState.ACTIVE, cause)]
    if state.live is not None:
        records.append(_record(state.task, pointer.active, VersionState.SUPERSEDED, cause))
    return _change(
        state,
        EventKind.ACTIVATED,
        cause,
        reached=to,
        pointer=moved,
        versions=tuple(records),
        # The pipeline tells people of its own activations; a person's override is news to them.
        notify=Notify.PENDING if override else Notify.NOT_NEEDED,
    )


def roll_back(state: TaskState, *, cause: Cause) -> Change:
    """Return to `previous` and quarantine what was active; there is no way back from that.

    Raises `TransitionRefusedError` when there is no previous version (never roll back a rollback)
    or it was taken out itself.
    """
    to = _active(state).previous
    if to is None:
        raise TransitionRefusedError(f"{state.task} has no version to go back to")
    _refuse_taken_out(state, to.version)
    return _take_out(state, to, VersionState.QUARANTINED, EventKind.ROLLED_BACK, cause)


def downgrade(state: TaskState, to: VersionRef, *, cause: Cause) -> Change:
    """Go to `to` by hand; what was active comes back only by a named override.

    Raises `TransitionRefusedError` when `to` was taken out itself.
    """
    _moving(state, to)
    _refuse_taken_out(state, to.version)
    return _take_out(state, to, VersionState.DOWNGRADED, EventKind.DOWNGRADED, cause)


def retire(state: TaskState, *, release: ReleaseRef, cause: Cause) -> Change:
    """Take what is active out of service with no successor; a later release may seed the task anew.

    The pointer stays as a retired one, so that an older release is known as such.
    """
    pointer = _active(state)
    if pointer.frozen:
        raise TransitionRefusedError(f"{state.task} is {pointer.freeze_in_words}")
    parked = replace(
        _pointer(state, pointer.active, previous=None, release=release, cause=cause),
        retired=True,
    )
    return _change(
        state,
        EventKind.RETIRED,
        cause,
        reached=pointer.active,
        pointer=parked,
        versions=(_record(state.task, pointer.active, VersionState.RETIRED, cause),),
        # Git decided it: whoever did that knows.
        notify=Notify.NOT_NEEDED,
    )


def put_back(state: TaskState, *, cause: Cause) -> Change | None:
    """Leave the drill's task as if it had never had anything active; `None` where it has not.

    Its versions may be activated again: what the drill quarantined is not bad, it plays bad. For no
    other task; raises `TransitionRefusedError`.
    """
    if state.task != aws_names.DRILL_TASK:
        raise TransitionRefusedError(f"{state.task} is a task of people, not the drill's own")
    moved = tuple(
        _record(state.task, known.reference, VersionState.RELEASED, cause)
        for known in state.versions.values()
        if known.state is not VersionState.RELEASED
    )
    pointer = state.pointer
    if pointer is None or (pointer.retired and not moved):
        return None
    parked = _pointer(
        state,
        pointer.active,
        previous=None,
        release=pointer.release,
        cause=cause,
    )
    return _change(
        state,
        EventKind.RETIRED,
        cause,
        reached=pointer.active,
        pointer=replace(parked, retired=True),
        versions=moved,
        notify=Notify.NOT_NEEDED,
    )


def freeze(state: TaskState, *, cause: Cause) -> Change:
    """Keep activation away from the task until somebody unfreezes it."""
    return _set_frozen(state, True, EventKind.FROZEN, cause)


def unfreeze(state: TaskState, *, cause: Cause) -> Change:
    """Let activation move the task again."""
    return _set_frozen(state, False, EventKind.UNFROZEN, cause)


def page(state: TaskState, *, cause: Cause) -> Change:
    """Call a person and change nothing else; the history keeps that they were called, and why."""
    return _change(state, EventKind.PAGED, cause, reached=_active(state).active)


def _take_out(
    state: TaskState, to: VersionRef, left_as: VersionState, kind: EventKind, cause: Cause
) -> Change:
    pointer = _active(state)
    moved = _pointer(
        state, to, previous=None, release=pointer.release, cause=cause, freeze_of=pointer
    )
    records = (
        _record(state.task, pointer.active, left_as, cause),
        _record(state.task, to, VersionState.ACTIVE, cause),
    )
    return _change(state, kind, cause, reached=to, pointer=moved, versions=records)


def _set_frozen(state: TaskState, frozen: bool, kind: EventKind, cause: Cause) -> Change:
    pointer = _active(state)
    if pointer.frozen is frozen:
        raise TransitionRefusedError(
            f"{state.task} is {'frozen already' if frozen else 'not frozen'}"
        )
    changed = replace(
        pointer,
        frozen=frozen,
        revision=state.revision + 1,
        changed_by=cause.by,
        reason=cause.reason,
        at=cause.at,
        frozen_by=cause.by if frozen else "",
        frozen_reason=cause.reason if frozen else "",
    )
    return _change(state, kind, cause, reached=pointer.active, pointer=changed)


def _active(state: TaskState) -> Pointer:
    if state.live is None:
        raise TransitionRefusedError(f"no version of {state.task} is active")
    return state.live


def _moving(state: TaskState, to: VersionRef, *, or_retired: bool = False) -> Pointer:
    pointer = state.pointer if or_retired and state.pointer is not None else _active(state)
    if pointer.active == to and not pointer.retired:
        raise TransitionRefusedError(f"{state.task} has version {to.version} active already")
    _refuse_other_content(state, to)
    return pointer


def _refuse_other_content(state: TaskState, to: VersionRef) -> None:
    record = state.versions.get(to.version)
    if record is not None and record.sha256 != to.sha256:
        raise TransitionRefusedError(
            f"version {to.version} of {state.task} is known here by the hash {record.sha256}, "
            f"not {to.sha256}: a released version never changes its content"
        )


def _refuse_taken_out(state: TaskState, version: str) -> None:
    record = state.versions.get(version)
    if record is not None and record.state.taken_out:
        raise TakenOutError(
            f"version {version} of {state.task} is {record.state.value} "
            f"since {record.at} by {record.by}: {record.reason}"
        )


def _pointer(
    state: TaskState,
    to: VersionRef,
    *,
    previous: VersionRef | None,
    release: ReleaseRef,
    cause: Cause,
    freeze_of: Pointer | None = None,
) -> Pointer:
    """Return a pointer to `to`; frozen where `freeze_of` is, by whoever froze that."""
    return Pointer(
        task=state.task,
        active=to,
        previous=previous,
        frozen=freeze_of is not None and freeze_of.frozen,
        frozen_by=freeze_of.frozen_by if freeze_of else "",
        frozen_reason=freeze_of.frozen_reason if freeze_of else "",
        revision=state.revision + 1,
        changed_by=cause.by,
        reason=cause.reason,
        at=cause.at,
        release=release,
    )


def _record(task: str, reference: VersionRef, state: VersionState, cause: Cause) -> VersionRecord:
    return VersionRecord(
        task=task,
        version=reference.version,
        sha256=reference.sha256,
        state=state,
        by=cause.by,
        reason=cause.reason,
        at=cause.at,
    )


def _change(
    state: TaskState,
    kind: EventKind,
    cause: Cause,
    *,
    reached: VersionRef,
    pointer: Pointer | None = None,
    versions: tuple[VersionRecord, ...] = (),
    notify: Notify = Notify.PENDING,
) -> Change:
    after = pointer or state.live
    event = Event(
        task=state.task,
        revision=state.revision + 1,
        kind=kind,
        left=state.live.active if state.live else None,
        reached=reached,
        by=cause.by,
        code=cause.code,
        reason=cause.reason,
        at=cause.at,
        # A drill is no news: nobody is called, and nothing is written back into git.
        notify=Notify.NOT_NEEDED if state.task == aws_names.DRILL_TASK else notify,
        evidence=cause.evidence,
        stays_frozen=after is not None and after.frozen and kind is not EventKind.FROZEN,
    )
    return Change(before=state, pointer=pointer, versions=versions, event=event)
