"""The steps of an activation, taken in a stage's ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from prompt_hub.ledger.errors import LedgerConflictError, TransitionRefusedError
from prompt_hub.ledger.items import NO_WAY_BACK, timestamp
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.manifest import Release
from prompt_hub.release.plan import BY, Move, Retire, Seed, Skip, Step

if TYPE_CHECKING:
    from prompt_hub.ledger.table import Ledger


@dataclass
class ActivationResult:
    """Tasks with a new active version, and tasks that could not be moved although they should."""

    moved: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def execute(
    ledger: Ledger, release: Release, steps: Iterable[Step], say: Callable[[str], None] = print
) -> ActivationResult:
    """Do every step, each on its own: one task's trouble holds up no other."""
    done = ActivationResult()
    for step in steps:
        try:
            if _take(ledger, release, step, say):
                done.moved.append(step.task)
        except (LedgerConflictError, TransitionRefusedError) as error:
            say(f"{step.task}: not moved, {error}; run it again")
            done.failed.append(step.task)
    return done


def _take(ledger: Ledger, release: Release, step: Step, say: Callable[[str], None]) -> bool:
    """Do one step, say it in one line; returns whether a version became active."""
    cause = Cause(by=BY, reason=_reason(release, step), at=timestamp(datetime.now(UTC)))
    match step:
        case Skip():
            say(f"{step.task}: left alone, {step.reason}")
            return False
        case Retire():
            event = ledger.retire(step.task, seen=step.seen, release=release.reference, cause=cause)
            say(
                f"{step.task}: {step.left.version} is retired, git has no version of it released; "
                f"ledger revision {event.revision}"
            )
            return False
        case Seed():
            event = ledger.seed(
                step.task, step.to, previous=step.previous, release=release.reference, cause=cause
            )
            way_back = step.previous.version if step.previous else "none"
            say(
                f"{step.task}: {step.to.version} is active, the first here (way back: {way_back}); "
                f"ledger revision {event.revision}"
            )
            return True
        case Move():
            _move(ledger, release, step, cause, say)
            return True
        case _:
            assert_never(step)


def _reason(release: Release, step: Step) -> str:
    """Name the release, and who released the version where it was not the gate."""
    carried = release.tasks.get(step.task)
    to = step.to.version if isinstance(step, Seed | Move) else None
    version = carried.version(to) if carried is not None else None
    decided = f", decided in git by {version.decided_by}" if version and version.decided_by else ""
    return f"release {release.release}{decided}"


def _move(
    ledger: Ledger, release: Release, step: Move, cause: Cause, say: Callable[[str], None]
) -> None:
    lost = step.no_way_back
    event = ledger.activate(
        step.task,
        step.to,
        seen=step.seen,
        release=release.reference,
        cause=cause if lost is None else replace(cause, evidence={NO_WAY_BACK: asdict(lost)}),
        keep_way_back=lost is None,
    )
    say(
        f"{step.task}: {step.left.version} -> {step.to.version}"
        f"{f' (no way back: {lost.reason})' if lost else ''}; ledger revision {event.revision}"
    )
