"""What a process serves: pointers followed from the ledger, the last good ones kept.

The service and the loader (`prompt_hub.loader`) follow a ledger by this one. Nothing here knows
HTTP or AWS. `LedgerPoller.poll` is one look at the ledger; a thread calls it every few seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.items import Deployed, Pointer, VersionRef
from prompt_hub.release.carried import CarriedHashes

logger = logging.getLogger(__name__)

Source = Literal["ledger", "snapshot"]

SNAPSHOT_AFTER_SECONDS = 60.0
"""How long a starting process waits for the ledger before it serves what its release says."""
REPORT_EVERY_SECONDS = 30.0
"""How long a state that people should end goes without a report while it lasts, and one look more.

Alarms count the minutes that have a report. Looks are up to a minute apart: with a minute here, as
much as two could pass between two reports.
"""
MOST_LOOKS = 12
"""Looks, at most, from one try of a file that could not be read to the next: a minute of ours.

The first tries follow each other closely, as most such troubles end soon. A file that is gone is
looked for in all of its task's archive, which may take seconds.
"""


class PointerSource(Protocol):
    """The part of the ledger that is polled."""

    def revision(self) -> int:
        """Return number of changes so far."""

    def pointers(self) -> dict[str, Pointer]:
        """Return what is active for each task."""

    def deployed(self) -> Deployed | None:
        """Return the release that was activated here last."""


class PreparedPrompts(Protocol):
    """Where the prompts of an image come from: what is served is prepared before it is shown."""

    def prepare(self, task: str, version: str) -> object:
        """Have a prompt at hand; raises `PromptHubError` if it is not what was promoted."""

    def forget(self, keys: Collection[tuple[str, str]]) -> None:
        """Let these go, tasks with versions."""


class Reporter(Protocol):
    """Where the poller says what people should know; must not raise."""

    def snapshot_served(self, reason: str) -> None:
        """Report that the image's own pointers are served, as the ledger could not be read."""

    def pointer_refused(self, task: str, wanted: VersionRef, kept: str) -> None:
        """Report that the ledger points to something that this image lacks."""

    def moved(self, task: str, left: str | None, reached: str, revision: int) -> None:
        """Report that a task is answered by another version from now on."""

    def ledger_lost(self, reason: str) -> None:
        """Report that the ledger stopped answering; the last good pointers are kept."""

    def ledger_unreachable(self, reason: str) -> None:
        """Report that no change in the ledger reaches this process."""

    def ledger_found(self, revision: int) -> None:
        """Report that the ledger answers, for the first time or again."""


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One task's active version as it is served; `revision` is its pointer's, 0 from a snapshot."""

    reference: VersionRef
    source: Source
    revision: int


@dataclass(frozen=True, kw_only=True)
class ServingState:
    """Everything that a request needs, replaced as a whole: no request sees half a change.

    `refused` holds what the ledger points to and the image lacks; such a task is answered by the
    last good version, or not at all where there is none.
    """

    ready: bool = False
    revision: int = 0
    served: Mapping[str, ServedVersion] = field(default_factory=dict)
    refused: Mapping[str, VersionRef] = field(default_factory=dict)
    ledger_answers: bool = False

    @property
    def unserved(self) -> dict[str, VersionRef]:
        """What is refused and has no last good version: calls of these tasks have no answer."""
        return {task: ref for task, ref in self.refused.items() if task not in self.served}


class WhyUnserved(StrEnum):
    """Why a task has no active version here, in a word that programs read."""

    NOT_CARRIED = "not_carried"
    """The ledger points to something that the release lacks."""
    UNKNOWN_TASK = "unknown_task"
    """The release has no version of such a task."""
    RETIRED = "retired"
    """Git has nothing of the task released any more."""
    NOT_ACTIVE = "not_active"
    """The stage has nothing of the task active yet, or the ledger has not said yet what it has."""


class UnservedTaskError(PromptHubError):
    """A task has no active version here; `known` are those that the release has, by name."""

    def __init__(self, message: str, why: WhyUnserved, known: list[str]) -> None:
        super().__init__(message)
        self.why = why
        self.known = known


def find_served(
    release: CarriedHashes, task: str, stage: str, state: ServingState
) -> ServedVersion:
    """Return the version of `task` that is served in `state`.

    Raises:
        UnservedTaskError: none is; `stage` is what its words call the place.
    """
    served = state.served.get(task)
    if served is None:
        raise _unserved(release, task, stage, state)
    return served


def _unserved(
    release: CarriedHashes, task: str, stage: str, state: ServingState
) -> UnservedTaskError:
    known = sorted(name for name, versions in release.carries.items() if versions)
    wanted = state.refused.get(task)
    if wanted is not None:
        message = (
            f"{task} {wanted.version} is active in {stage}, and the image of release "
            f"{release.release} does not carry it"
        )
        return UnservedTaskError(message, WhyUnserved.NOT_CARRIED, known)
    if task not in known:
        message = f"there is no task {task!r}; there are: {', '.join(known) or 'none'}"
        return UnservedTaskError(message, WhyUnserved.UNKNOWN_TASK, known)
    if not (state.ready or state.ledger_answers or state.refused):
        message = f"the ledger has not answered yet: what is active in {stage} is not known"
        return UnservedTaskError(message, WhyUnserved.NOT_ACTIVE, known)
    if task not in release.champions:
        message = f"{task} is retired: no version of it is released any more"
        return UnservedTaskError(message, WhyUnserved.RETIRED, known)
    message = f"no version of {task} is active in {stage} yet"
    return UnservedTaskError(message, WhyUnserved.NOT_ACTIVE, known)


class _Look(NamedTuple):
    """What the ledger said."""

    revision: int
    pointers: dict[str, Pointer] | None
    """None where nothing has changed."""
    deployed: Deployed | None


class LedgerPoller:
    """Follows the pointers of the ledger and keeps the last good ones."""

    def __init__(
        self,
        release: CarriedHashes,
        source: PointerSource,
        report: Reporter,
        prompts: PreparedPrompts | None = None,
        *,
        snapshot_after: float = SNAPSHOT_AFTER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Follow `source` with what `release` carries; `prompts` prepares what is to be served.

        The release's snapshot is served once there was no ledger to ask for `snapshot_after`
        seconds.
        """
        self.release = release
        self._source = source
        self._report = report
        self._prompts = prompts
        self._snapshot_after = snapshot_after
        self._clock = clock
        self._started = clock()
        self._reported: dict[str, float] = {}
        self._unread: dict[str, Pointer] = {}
        """By task: what the release carries, and what could not be read from its file."""
        self._looks = self._pause = 1
        """Looks until those are tried again, and how many there were from the last try to it."""
        self.state = ServingState()

    def find(self, task: str, stage: str) -> ServedVersion:
        """Return the version of `task` that is served now; raises as `find_served`."""
        return find_served(self.release, task, stage, self.state)

    def poll(self) -> None:
        """Look at the ledger once. Never raises: what goes wrong is reported, the state kept."""
        self._take_over(self._read())

    def _read(self) -> _Look | Exception:
        """Read what has to be read of the ledger, which may take long; changes nothing."""
        try:
            revision = self._source.revision()
            moved = revision != self.state.revision or not self.state.ledger_answers
            # The revision was read first: a change in between is seen with the next look.
            pointers = self._source.pointers() if moved else None
            # Asked while it is unready only: the release may have been activated meanwhile.
            deployed = None if self.state.ready else self._source.deployed()
        except Exception as error:
            logger.info("the ledger could not be read: %s", type(error).__name__)
            return error
        return _Look(revision, pointers, deployed)

    def _take_over(self, look: _Look | Exception) -> None:
        if isinstance(look, Exception):
            self._without_ledger(f"{type(look).__name__}: {look}")
            return
        revision, pointers, deployed = look
        if not self.state.ledger_answers:
            self._report.ledger_found(revision)
        known_here = deployed is not None and deployed.release.release == self.release.release
        if pointers is not None:
            logger.debug("ledger revision %d: %d pointers read", revision, len(pointers))
            self._follow(revision, pointers, known_here=known_here)
        else:
            self._try_again()
            if known_here and not self.state.ready:
                self._show(replace(self.state, ready=True))
        for task, wanted in self.state.refused.items():
            self._report_refusal(task, wanted)

    def run(
        self,
        every_seconds: float,
        stop: threading.Event,
        alone: AbstractContextManager[object] | None = None,
    ) -> None:
        """Poll until `stop` is set; what is read is taken over inside of `alone`.

        A ledger that hangs is waited for, and nobody who needs the state is to wait with it.
        """
        alone = nullcontext() if alone is None else alone
        while True:
            try:
                look = self._read()
                with alone:
                    self._take_over(look)
            except Exception as error:
                logger.warning("a look at the ledger failed: %s", type(error).__name__)
                # The next round looks again, whatever this one stumbled over: without this thread
                # no rollback would ever reach a process that calls itself ready.
                with suppress(Exception):
                    self._report_unreachable(f"{type(error).__name__}: {error}")
            if stop.wait(every_seconds):
                return

    def _follow(self, revision: int, pointers: Mapping[str, Pointer], *, known_here: bool) -> None:
        """Take over what the ledger says.

        A container of a new release that cannot serve all of it stays unready, so that the ones it
        was to replace go on. Where its release is the one activated last (`known_here`) it is their
        replacement, and one refused task must not keep the others from being answered.
        """
        served: dict[str, ServedVersion] = {}
        refused: dict[str, VersionRef] = {}
        unread: dict[str, Pointer] = {}
        for task, pointer in pointers.items():
            if self._can_serve(task, pointer.active):
                served[task] = _followed(pointer)
                continue
            refused[task] = pointer.active
            if self._carries(task, pointer.active):
                unread[task] = pointer
            kept = self.state.served.get(task)
            # What the image's own snapshot says was never let in by the ledger.
            if kept is not None and kept.source == "ledger":
                served[task] = kept
        self._unread, self._looks, self._pause = unread, 1, 1
        state = ServingState(revision=revision, served=served, refused=refused, ledger_answers=True)
        self._show(replace(state, ready=self.state.ready or known_here or not state.unserved))

    def _try_again(self) -> None:
        """Read anew what could not be read: it may be the version that a rollback went to."""
        if not self._unread:
            return
        self._looks -= 1
        if self._looks > 0:
            return
        self._looks = self._pause = min(2 * self._pause, MOST_LOOKS)
        found = {
            task: _followed(pointer)
            for task, pointer in self._unread.items()
            if self._prepared(task, pointer.active)
        }
        if not found:
            return
        for task in found:
            del self._unread[task]
        refused = {task: ref for task, ref in self.state.refused.items() if task not in found}
        state = replace(self.state, served={**self.state.served, **found}, refused=refused)
        self._show(replace(state, ready=state.ready or not state.unserved))

    def _carries(self, task: str, wanted: VersionRef) -> bool:
        return self.release.carries.get(task, {}).get(wanted.version) == wanted.sha256

    def _can_serve(self, task: str, wanted: VersionRef) -> bool:
        if not self._carries(task, wanted):
            return False
        current = self.state.served.get(task)
        if current is not None and current.reference == wanted:
            return True
        return self._prepared(task, wanted)

    def _prepared(self, task: str, wanted: VersionRef) -> bool:
        try:
            if self._prompts is not None:
                self._prompts.prepare(task, wanted.version)
        except (PromptHubError, OSError) as error:
            # Its file is damaged or gone: to callers that is the same as not to be carried.
            if self._due(f"not prepared {task} {wanted.version}"):
                logger.warning("%s %s cannot be served: %s", task, wanted.version, error)
            return False
        return True

    def _without_ledger(self, reason: str) -> None:
        if self.state.ledger_answers:
            self._report.ledger_lost(reason)
            self._show(replace(self.state, ledger_answers=False))
        waited = self._clock() - self._started
        if not (self.state.ready or self.state.refused) and waited >= self._snapshot_after:
            self._show(ServingState(ready=True, served=self._snapshot()))
        if any(
            version.source == "snapshot" for version in self.state.served.values()
        ) and self._due("snapshot"):
            self._report.snapshot_served(reason)
        self._report_unreachable(reason)

    def _snapshot(self) -> dict[str, ServedVersion]:
        return {
            task: ServedVersion(reference=reference, source="snapshot", revision=0)
            for task, reference in self.release.snapshot.items()
            if self._prepared(task, reference)
        }

    def _show(self, state: ServingState) -> None:
        before, self.state = self.state.served, state
        for task, current in state.served.items():
            previous = before.get(task)
            if previous is None or previous.reference != current.reference:
                self._report.moved(
                    task,
                    previous.reference.version if previous else None,
                    current.reference.version,
                    current.revision,
                )
        if self._prompts is not None:
            self._prompts.forget(_left_behind(before, state.served))

    def _report_unreachable(self, reason: str) -> None:
        if self._due("unreachable"):
            self._report.ledger_unreachable(reason)

    def _report_refusal(self, task: str, wanted: VersionRef) -> None:
        if self._due(f"refused {task} {wanted.version} {wanted.sha256}"):
            kept = self.state.served.get(task)
            self._report.pointer_refused(task, wanted, kept.reference.version if kept else "none")

    def _due(self, what: str) -> bool:
        now = self._clock()
        if now - self._reported.get(what, float("-inf")) < REPORT_EVERY_SECONDS:
            return False
        self._reported[what] = now
        return True


def _followed(pointer: Pointer) -> ServedVersion:
    return ServedVersion(reference=pointer.active, source="ledger", revision=pointer.revision)


def _left_behind(
    before: Mapping[str, ServedVersion], after: Mapping[str, ServedVersion]
) -> list[tuple[str, str]]:
    """Return task and version of what was served and is no longer."""
    return [
        (task, version.reference.version)
        for task, version in before.items()
        if (now := after.get(task)) is None or now.reference != version.reference
    ]
