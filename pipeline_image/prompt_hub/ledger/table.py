"""The ledger of a stage: what is active, how it came about, and what may change it."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Self, cast

from prompt_hub.core import aws_names
from prompt_hub.ledger import transitions
from prompt_hub.ledger.errors import LedgerConflictError, LedgerError
from prompt_hub.ledger.item_table import ItemTable, Step
from prompt_hub.ledger.items import (
    ACTIVE,
    DEPLOYED_KEY,
    EVENT_PREFIX,
    HEAD_KEY,
    VERSION_PREFIX,
    Deployed,
    Event,
    Pointer,
    ReleaseRef,
    ScoreSample,
    VersionRecord,
    VersionRef,
    VersionState,
    score_partition,
    task_partition,
)
from prompt_hub.ledger.transitions import Cause, Change, TaskState

logger = logging.getLogger(__name__)

ATTEMPTS = 12
"""How often a change is decided again because another one came between."""


class Ledger(ItemTable):
    """Reads and changes the ledger of one stage.

    A change is decided on a task's state as read and written in one transaction that holds only if
    nobody wrote meanwhile. Methods that take `seen` raise `LedgerConflictError` when the task's
    pointer is no longer at that revision, those that are given `newest` also when the task has a
    newer event: what the caller decided on has changed.
    """

    @classmethod
    def from_environment(cls) -> Self:
        """Return the ledger named in `PROMPT_HUB_LEDGER_TABLE`; raises `LedgerError` if none is."""
        if not (table := os.environ.get(aws_names.ENV_LEDGER_TABLE)):
            raise LedgerError(f"{aws_names.ENV_LEDGER_TABLE} is not set: no ledger to read")
        return cls.connect(table)

    # --- Reading -------------------------------------------------------------------------------

    def revision(self) -> int:
        """Return number of changes so far; 0 for an empty ledger."""
        item = self._get(HEAD_KEY)
        return cast(int, item["revision"]) if item else 0

    def pointer(self, task: str) -> Pointer | None:
        """Return what is active for `task`, `None` if nothing is."""
        found = self._pointer(task)
        return None if found is None or found.retired else found

    def _pointer(self, task: str) -> Pointer | None:
        item = self._get((ACTIVE, task))
        return Pointer.from_attributes(task, item) if item else None

    def pointers(self) -> dict[str, Pointer]:
        """Return what is active for each task.

        Raises `LedgerMissingError` where there is no table.
        """
        return {
            task: pointer for task, pointer in self.every_pointer().items() if not pointer.retired
        }

    def retired(self) -> dict[str, Pointer]:
        """Return the pointers of tasks that were taken out of service with no successor."""
        return {task: pointer for task, pointer in self.every_pointer().items() if pointer.retired}

    def every_pointer(self) -> dict[str, Pointer]:
        """Return the pointers of all tasks, retired ones too."""
        return {
            (task := str(item[aws_names.LEDGER_SORT_KEY])): Pointer.from_attributes(task, item)
            for item in self._query(ACTIVE)
        }

    def versions(self, task: str) -> dict[str, VersionRecord]:
        """Every version of `task` that this stage has known."""
        records = (
            VersionRecord.from_attributes(task, item)
            for item in self._query(task_partition(task), VERSION_PREFIX)
        )
        return {record.version: record for record in records}

    def version_states(self, task: str) -> dict[str, VersionState]:
        """State by version."""
        return {version: record.state for version, record in self.versions(task).items()}

    def state(self, task: str) -> TaskState:
        """Return what a change of `task` is decided on.

        The head is read first: whatever is written after that makes the change fail, not lie.
        """
        revision = self.revision()
        return TaskState(
            task=task,
            revision=revision,
            pointer=self._pointer(task),
            versions=self.versions(task),
        )

    def events(self, task: str, limit: int | None = None) -> tuple[Event, ...]:
        """History of `task`, newest first."""
        items = self._query(task_partition(task), EVENT_PREFIX, newest_first=True, limit=limit)
        return tuple(Event.from_attributes(task, item) for item in items)

    def newest_event(self, task: str) -> int:
        """Revision of the newest event of `task`, 0 if it has none.

        Paging changes no pointer: two that decide at once to page are told apart by this alone.
        """
        return next((event.revision for event in self.events(task, 1)), 0)

    def samples(self, task: str, limit: int) -> tuple[ScoreSample, ...]:
        """Return the newest `limit` score samples of `task`, newest first, controls included."""
        items = self._query(score_partition(task), newest_first=True, limit=limit)
        return tuple(ScoreSample.from_attributes(task, item) for item in items)

    def deployed(self) -> Deployed | None:
        """Return the release of the stage's image, `None` before the first activation."""
        item = self._get(DEPLOYED_KEY)
        return Deployed.from_attributes(item) if item else None

    # --- Changing ------------------------------------------------------------------------------

    def seed(
        self,
        task: str,
        to: VersionRef,
        *,
        previous: VersionRef | None,
        release: ReleaseRef,
        cause: Cause,
    ) -> Event:
        """See `transitions.seed`."""
        return self._change(
            task,
            None,
            lambda state: transitions.seed(
                state, to, previous=previous, release=release, cause=cause
            ),
        )

    def activate(
        self,
        task: str,
        to: VersionRef,
        *,
        seen: int | None,
        release: ReleaseRef,
        cause: Cause,
        keep_way_back: bool = True,
        override: bool = False,
    ) -> Event:
        """See `transitions.activate`; `seen` is `None` where the task is retired."""
        return self._change(
            task,
            seen,
            lambda state: transitions.activate(
                state,
                to,
                release=release,
                cause=cause,
                keep_way_back=keep_way_back,
                override=override,
            ),
        )

    def roll_back(self, task: str, *, seen: int, cause: Cause, newest: int | None = None) -> Event:
        """See `transitions.roll_back`."""
        return self._change(
            task, seen, lambda state: transitions.roll_back(state, cause=cause), newest
        )

    def downgrade(self, task: str, to: VersionRef, *, seen: int, cause: Cause) -> Event:
        """See `transitions.downgrade`."""
        return self._change(task, seen, lambda state: transitions.downgrade(state, to, cause=cause))

    def retire(self, task: str, *, seen: int, release: ReleaseRef, cause: Cause) -> Event:
        """See `transitions.retire`."""
        return self._change(
            task, seen, lambda state: transitions.retire(state, release=release, cause=cause)
        )

    def freeze(self, task: str, *, seen: int, cause: Cause, newest: int | None = None) -> Event:
        """See `transitions.freeze`."""
        return self._change(
            task, seen, lambda state: transitions.freeze(state, cause=cause), newest
        )

    def unfreeze(self, task: str, *, seen: int, cause: Cause) -> Event:
        """See `transitions.unfreeze`."""
        return self._change(task, seen, lambda state: transitions.unfreeze(state, cause=cause))

    def page(self, task: str, *, seen: int, cause: Cause, newest: int | None = None) -> Event:
        """See `transitions.page`."""
        return self._change(task, seen, lambda state: transitions.page(state, cause=cause), newest)

    def add_samples(self, samples: Sequence[ScoreSample]) -> None:
        """Add the samples of one round, all or none.

        Raises:
            LedgerConflictError: one of them is there already.
        """
        self._write(
            *(Step(key=sample.key, attributes=sample.to_attributes()) for sample in samples)
        )

    def deploy(self, deployed: Deployed, *, by: str) -> None:
        """Note which release the stage's image belongs to, and the versions new to this stage.

        New versions become `released`. Raises `LedgerConflictError` when another release is being
        noted at the same time.
        """
        before = self.deployed()
        self._write(
            Step(
                key=DEPLOYED_KEY,
                attributes=deployed.to_attributes(),
                attribute="at",
                believed=before.at if before else None,
            )
        )
        for task, carried in deployed.carries.items():
            known = self.versions(task)
            new = [
                VersionRecord(
                    task=task,
                    version=version,
                    sha256=sha256,
                    state=VersionState.RELEASED,
                    by=by,
                    reason=f"carried by release {deployed.release.release}",
                    at=deployed.at,
                )
                for version, sha256 in carried.items()
                if version not in known
            ]
            if new:
                self._write(
                    *(Step(key=record.key, attributes=record.to_attributes()) for record in new)
                )

    # --- Underneath ----------------------------------------------------------------------------

    def _change(
        self,
        task: str,
        seen: int | None,
        decide: Callable[[TaskState], Change],
        newest: int | None = None,
    ) -> Event:
        """Change a task whose pointer is still at the revision that the caller has `seen`."""

        def believed(state: TaskState) -> Change:
            found = state.live.revision if state.live else None
            if found != seen:
                raise LedgerConflictError(
                    f"the pointer of {task} is at revision {found}, not {seen} as read before"
                )
            if newest is not None and self.newest_event(task) != newest:
                raise LedgerConflictError(f"{task} has an event newer than revision {newest}")
            return decide(state)

        return self._change_anyway(task, believed)

    def _change_anyway(self, task: str, decide: Callable[[TaskState], Change]) -> Event:
        """Decide, write, and decide again on what is there where another change came between."""
        for attempt in range(ATTEMPTS):
            change = decide(self.state(task))
            try:
                self._write(*_steps(change))
            except LedgerConflictError:
                # Many alarms at once all move the one head: spread the next tries.
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 5)))  # noqa: S311
            else:
                event = change.event
                logger.info("%s: %s at ledger revision %d", task, event.kind, event.revision)
                return event
        raise LedgerConflictError(f"{task} could not be changed: others kept changing the ledger")


def _steps(change: Change) -> list[Step]:
    before, event, pointer = change.before, change.event, change.pointer
    return [
        Step(
            key=HEAD_KEY,
            attributes={"revision": event.revision},
            believed=before.revision or None,
        ),
        Step(
            key=(ACTIVE, before.task),
            attributes=pointer.to_attributes() if pointer else None,
            believed=before.pointer.revision if before.pointer else None,
        ),
        # The head's condition covers the versions: every change of a state moves the head.
        *(
            Step(key=version.key, attributes=version.to_attributes(), unconditional=True)
            for version in change.versions
        ),
        Step(key=event.key, attributes=event.to_attributes()),
    ]
