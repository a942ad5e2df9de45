"""Which tasks a run of the score watch measures, and what their day still allows: pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prompt_hub.ledger.items import Pointer
from prompt_hub.ledger.rounds import WatchRound


def is_due(pointer: Pointer, last: WatchRound | None, every_minutes: int, at: str) -> bool:
    """Whether the active version of a task is to be measured at `at`.

    It is when its pointer moved since its last round, and else once in each interval of
    `every_minutes` of the clock, counted from the epoch. Counted from the last round, a run that
    begins a second early would skip one. Freezing the pointer changes it and is no move.
    """
    if last is None:
        return True
    only_frozen = last.active == pointer.active and last.frozen is not pointer.frozen
    if last.revision != pointer.revision and not only_frozen:
        return True
    seconds = every_minutes * 60
    return _epoch(at) // seconds > _epoch(last.at) // seconds


def longest_waiting(due: Mapping[str, WatchRound | None]) -> str:
    """Return the task whose last round is the oldest: a slow one cannot keep the others waiting."""
    return min(due, key=lambda task: (last.at if (last := due[task]) else "", task))


def refusal(last: WatchRound | None, planned: int, calls_a_day: int | None, at: str) -> str | None:
    """Why a round of `planned` model calls is too much for its day; `None` where it is not."""
    spent = last.calls_on(at) if last else 0
    if calls_a_day is None or spent + planned <= calls_a_day:
        return None
    return (
        f"{spent} of {calls_a_day} model calls of {at[:10]} (UTC) are used, and a round takes"
        f" {planned}: it is not measured again before midnight UTC"
    )


def _epoch(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
