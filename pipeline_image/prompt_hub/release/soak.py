"""Whether a release has held in a stage for as long as the stage asks for: pure.

A rollback, a freeze, a page or a change by hand since the release was activated ends the soak: what
the next stage would get is not what held. A score below the threshold alone does not: the rollback
decides what it means, and until it has, the soak waits.

Only rounds that the release's own image measured are good ones: who asks for a soak wants code and
image to have held, and not a version alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from prompt_hub.core import wording
from prompt_hub.ledger.items import Event, EventKind, Pointer, ScoreSample, VersionRef


class Progress(StrEnum):
    """How far a task's soak has come."""

    HELD = "held"
    WAITING = "waiting"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class TaskSoak:
    """One task's soak, in words for people."""

    task: str
    progress: Progress
    reason: str

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class TaskHistory:
    """What a stage's ledger says about one task; events and samples newest first."""

    task: str
    pointer: Pointer | None
    events: Sequence[Event]
    samples: Sequence[ScoreSample]


def soak(
    history: TaskHistory, champion: VersionRef | None, *, release: str, since: str, rounds: int
) -> TaskSoak:
    """Return how far the soak of `champion`, the release's version of the task, has come.

    Args:
        history: of the task in the stage.
        champion: `None` where the release has nothing released for the task.
        release: the name of the release.
        since: when the release was activated in the stage.
        rounds: how many rounds of the score watch in a row must be good.
    """

    def said(progress: Progress, reason: str) -> TaskSoak:
        return TaskSoak(task=history.task, progress=progress, reason=reason)

    for event in reversed(history.events):
        if event.at >= since and _breaks(event, champion):
            return said(
                Progress.BROKEN,
                f"{event.kind.value} at {event.at} by {event.by}, {event.reached.version} is "
                f"active: {event.reason}",
            )
    pointer = history.pointer
    if pointer is None or champion is None:
        return said(Progress.HELD, "nothing of this release is active")
    if pointer.active != champion:
        return said(
            Progress.HELD,
            f"left alone, {pointer.version} is active and not {champion.version} of this release",
        )
    own = _own_rounds(history, champion, release)
    good = sum(1 for _ in takewhile(lambda sample: not sample.below_threshold, own))
    if good < rounds:
        reason = f"{champion.version} has {good} of {rounds} good rounds in a row"
        return said(Progress.WAITING, reason + _what_is_bad(own, pointer))
    return said(Progress.HELD, f"{champion.version} has {rounds} good rounds in a row")


def _breaks(event: Event, champion: VersionRef | None) -> bool:
    match event.kind:
        case EventKind.SEEDED | EventKind.RETIRED | EventKind.UNFROZEN:
            return False
        case EventKind.ACTIVATED:
            return event.reached != champion
        case _:
            return True


def _what_is_bad(own: Sequence[ScoreSample], pointer: Pointer) -> str:
    """Say what tells a task that scores badly from one that nobody measures; mostly nothing."""
    words = ""
    if own and own[0].below_threshold:
        score, threshold = own[0].score, own[0].threshold
        words += (
            "; its newest round is below its threshold, "
            f"{wording.score(score, threshold)} against {wording.score(threshold, score)}"
        )
    if pointer.frozen:
        words += f"; the task is {pointer.freeze_in_words}"
    return words


def _own_rounds(history: TaskHistory, champion: VersionRef, release: str) -> list[ScoreSample]:
    """Return the rounds in which `release` measured `champion` since it became active.

    A round says which image measured it, for one that began before the activation ends after it.
    """
    arrivals = [
        event.at
        for event in history.events
        if event.kind in {EventKind.SEEDED, EventKind.ACTIVATED} and event.reached == champion
    ]
    # A history that was not read to its beginning says no more than that it is older.
    active_since = arrivals[0] if arrivals else ""
    return [
        sample
        for sample in history.samples
        if sample.version == champion.version
        and sample.release == release
        and sample.at >= active_since
    ]
