"""The thread that follows a ledger, in this process and in those that are forked from it."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping

from prompt_hub.ledger.items import Deployed, Pointer, VersionRef
from prompt_hub.loader.active_prompt import RenderableVersion
from prompt_hub.release.ledger_poller import LedgerPoller, PointerSource
from prompt_hub.release.manifest import Release, VersionKey
from prompt_hub.repository.schema import Prompt

logger = logging.getLogger("prompt_hub.loader")

SETTLE_SECONDS = 1.0
"""Seconds, at most, between two looks of a start that waits for the ledger."""
JOIN_SECONDS = 1.0
"""How long closing waits for a look at the ledger that is under way."""
STARTING = threading.Lock()
"""Held while a thread that follows is put in its place, and while a process forks: a child would
never get it back from a thread that it does not have."""


class OwnConnection:
    """The source of pointers, connected anew in a forked process: two must not share a socket."""

    def __init__(self, connect: Callable[[], PointerSource]) -> None:
        """Connect now, so that wrong settings are heard of at once."""
        self._connect = connect
        self._process = os.getpid()
        self._source = connect()

    def revision(self) -> int:
        """Return number of changes so far."""
        return self._here().revision()

    def pointers(self) -> dict[str, Pointer]:
        """Return what is active for each task."""
        return self._here().pointers()

    def deployed(self) -> Deployed | None:
        """Return the release that was activated last."""
        return self._here().deployed()

    def _here(self) -> PointerSource:
        if self._process != os.getpid():
            self._source = self._connect()
            self._process = os.getpid()
        return self._source


class LogReporter:
    """Logs what the poller has to say, under `prompt_hub.loader`; no words of an exception."""

    def snapshot_served(self, reason: str) -> None:
        """Say that the folder's own pointers are served."""
        logger.warning("what the folder's release says is served: %s", _kind(reason))

    def pointer_refused(self, task: str, wanted: VersionRef, kept: str) -> None:
        """Say that the folder lacks what the ledger points to."""
        logger.warning("the folder lacks %s %s; kept: %s", task, wanted.version, kept)

    def moved(self, task: str, left: str | None, reached: str, revision: int) -> None:
        """Say that another version answers from now on."""
        logger.info("%s moved from %s to %s at revision %d", task, left, reached, revision)

    def ledger_lost(self, reason: str) -> None:
        """Say that the ledger stopped answering."""
        logger.warning("the ledger stopped answering: %s", _kind(reason))

    def ledger_unreachable(self, reason: str) -> None:
        """Say that no change reaches this process."""
        logger.warning("the ledger cannot be followed: %s", _kind(reason))

    def ledger_found(self, revision: int) -> None:
        """Say that the ledger answers."""
        logger.info("the ledger answers, at revision %d", revision)


def _kind(reason: str) -> str:
    return reason.partition(":")[0]


class Follower:
    """The thread that follows the ledger, and the versions that it may point to."""

    def __init__(
        self,
        release: Release,
        prompts: Mapping[VersionKey, Prompt],
        poller: LedgerPoller,
        poll_seconds: float,
    ) -> None:
        self.release = release
        self.poller = poller
        self._prompts = prompts
        self._poll_seconds = poll_seconds
        self._versions: dict[VersionKey, RenderableVersion] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def settle(self, stop: threading.Event) -> bool:
        """Look until it is known what is active, by the ledger or without it; False if stopped."""
        while not stop.is_set():
            self.poller.poll()
            if self.poller.state.ready or self.poller.state.ledger_answers:
                return True
            stop.wait(min(self._poll_seconds, SETTLE_SECONDS))
        return False

    def follow(self, stop: threading.Event) -> None:
        """Look every few seconds from now on, until `stop` is set."""
        self._stop = stop
        self._thread = threading.Thread(
            target=self.poller.run,
            args=(self._poll_seconds, stop),
            name="prompt-hub-pointers",
            daemon=True,
        )
        self._thread.start()
        _FOLLOWING.add(self)

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stop the thread; a look that takes its time is not waited for."""
        _FOLLOWING.discard(self)
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def version(self, task: str, version: str) -> RenderableVersion:
        """Return a version that the poller serves, ready to be rendered."""
        key = (task, version)
        found = self._versions.get(key)
        if found is None:
            carried = self.release.tasks[task].version(version)
            assert carried is not None, "the poller serves what the release carries"
            found = self._versions[key] = RenderableVersion(self._prompts[key], carried.model)
        return found


_FOLLOWING: weakref.WeakSet[Follower] = weakref.WeakSet()


def _follow_on() -> None:
    """Go on in a forked process: it has the pointers, and not the thread that follows them."""
    STARTING.release()
    for follower in list(_FOLLOWING):
        # A new event: the thread that is not here may have held the lock of the old one.
        follower.follow(threading.Event())


# Windows forks nothing.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=STARTING.acquire, after_in_parent=STARTING.release, after_in_child=_follow_on
    )
