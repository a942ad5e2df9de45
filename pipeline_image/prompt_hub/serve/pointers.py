"""What the service serves: pointers followed from the ledger, the last good ones kept (design D3).

Nothing here knows HTTP or AWS. `PointerFollower.poll` is one look at the ledger; a thread calls it
every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from prompt_hub.ledger.items import Pointer, VersionRef

Source = Literal["ledger", "snapshot"]

SNAPSHOT_AFTER_SECONDS = 60.0
"""How long a starting service waits for the ledger before it serves what the image says."""
REPORT_EVERY_SECONDS = 60.0
"""How often a state that people should end is reported while it lasts."""


class PointerSource(Protocol):
    """The part of the ledger that is polled."""

    def revision(self) -> int:
        """Number of changes so far."""

    def pointers(self) -> dict[str, Pointer]:
        """What is active for each task."""


class Reporter(Protocol):
    """Where the follower says what people should know; must not raise."""

    def snapshot_served(self, reason: str) -> None:
        """The ledger was not to be had; the image's own pointers are served."""

    def pointer_refused(self, task: str, wanted: VersionRef, kept: str) -> None:
        """The ledger points to something that this image lacks."""

    def moved(self, task: str, left: str | None, reached: str, revision: int) -> None:
        """A task is answered by another version from now on."""

    def ledger_lost(self, reason: str) -> None:
        """The ledger stopped answering; the last good pointers are kept."""

    def ledger_unreachable(self, reason: str) -> None:
        """The ledger cannot be followed: no change in it reaches this process."""

    def ledger_found(self, revision: int) -> None:
        """The ledger answers, for the first time or again."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """One task's active version as it is served; `revision` is its pointer's, 0 from a snapshot."""

    reference: VersionRef
    source: Source
    revision: int


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that a request needs, replaced as a whole: no request sees half a change."""

    ready: bool = False
    revision: int = 0
    served: Mapping[str, Served] = field(default_factory=dict)
    refused: Mapping[str, VersionRef] = field(default_factory=dict)
    ledger_answers: bool = False


class PointerFollower:
    """Follows the ledger's pointers and keeps the last good ones."""

    def __init__(
        self,
        source: PointerSource,
        *,
        carries: Mapping[str, Mapping[str, str]],
        champions: Mapping[str, VersionRef],
        report: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Follow `source` with what the image has.

        `carries` is the hash by version by task, `champions` what to serve where there is no
        ledger to ask.
        """
        self._source = source
        self._carries = carries
        self._champions = champions
        self._report = report
        self._clock = clock
        self._started = clock()
        self._reported: dict[str, float] = {}
        self.view = View()

    def poll(self) -> None:
        """Look at the ledger once. Never raises: what goes wrong is reported, the view kept."""
        try:
            revision = self._source.revision()
            moved = revision != self.view.revision or not self.view.ledger_answers
            # The revision was read first: a change in between is seen with the next look.
            pointers = self._source.pointers() if moved else None
        except Exception as error:
            self._without_ledger(f"{type(error).__name__}: {error}")
            return
        if not self.view.ledger_answers:
            self._report.ledger_found(revision)
        if pointers is not None:
            self._follow(revision, pointers)
        for task, wanted in self.view.refused.items():
            self._report_refusal(task, wanted)

    def run(self, every_seconds: float, stop: threading.Event) -> None:
        """Poll until `stop` is set."""
        while True:
            try:
                self.poll()
            except Exception as error:
                # The next round looks again, whatever this one stumbled over: without this thread
                # no rollback would ever reach a process that calls itself ready.
                with suppress(Exception):
                    self._report_unreachable(f"{type(error).__name__}: {error}")
            if stop.wait(every_seconds):
                return

    def _follow(self, revision: int, pointers: Mapping[str, Pointer]) -> None:
        served: dict[str, Served] = {}
        refused: dict[str, VersionRef] = {}
        for task, pointer in pointers.items():
            if self._carries.get(task, {}).get(pointer.version) == pointer.sha256:
                served[task] = Served(
                    reference=pointer.active, source="ledger", revision=pointer.revision
                )
                continue
            refused[task] = pointer.active
            kept = self.view.served.get(task) or self._snapshot().get(task)
            if kept is not None:
                served[task] = kept
        self._show(
            View(
                ready=True,
                revision=revision,
                served=served,
                refused=refused,
                ledger_answers=True,
            )
        )

    def _without_ledger(self, reason: str) -> None:
        if self.view.ledger_answers:
            self._report.ledger_lost(reason)
            self._show(
                View(
                    ready=True,
                    revision=self.view.revision,
                    served=self.view.served,
                    refused=self.view.refused,
                    ledger_answers=False,
                )
            )
        waited = self._clock() - self._started
        if not self.view.ready and waited >= SNAPSHOT_AFTER_SECONDS:
            self._show(View(ready=True, served=self._snapshot()))
        if any(one.source == "snapshot" for one in self.view.served.values()) and self._due(
            "snapshot"
        ):
            self._report.snapshot_served(reason)
        self._report_unreachable(reason)

    def _snapshot(self) -> dict[str, Served]:
        return {
            task: Served(reference=champion, source="snapshot", revision=0)
            for task, champion in self._champions.items()
        }

    def _show(self, view: View) -> None:
        before, self.view = self.view.served, view
        for task, now in view.served.items():
            left = before.get(task)
            if left is None or left.reference != now.reference:
                self._report.moved(
                    task,
                    left.reference.version if left else None,
                    now.reference.version,
                    now.revision,
                )

    def _report_unreachable(self, reason: str) -> None:
        if self._due("unreachable"):
            self._report.ledger_unreachable(reason)

    def _report_refusal(self, task: str, wanted: VersionRef) -> None:
        if self._due(f"refused {task} {wanted.version} {wanted.sha256}"):
            kept = self.view.served.get(task)
            self._report.pointer_refused(task, wanted, kept.reference.version if kept else "none")

    def _due(self, what: str) -> bool:
        now = self._clock()
        if now - self._reported.get(what, float("-inf")) < REPORT_EVERY_SECONDS:
            return False
        self._reported[what] = now
        return True
