"""What a source said, or why it is not known: one silent source must not hide what others say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from prompt_hub.core.bounded import Bounded
from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.errors import LedgerError

T = TypeVar("T")
_KEPT = 4_000
"""Answers that are remembered at most."""


@dataclass(frozen=True)
class Known(Generic[T]):
    """A source's answer; where there is none, `problem` says which part is unknown and why."""

    value: T | None
    problem: str | None = None

    def otherwise(self, default: T) -> T:
        """Return the answer, or `default` where it is not known."""
        return default if self.value is None else self.value


def gaps(*problems: str | None) -> tuple[str, ...]:
    """Return what is not known, each once."""
    return tuple(dict.fromkeys(problem for problem in problems if problem))


def _reason(error: Exception) -> str:
    """Say what AWS said without its own words: they name accounts, roles and addresses."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return f"AWS was not reached ({type(error).__name__})."
    code = cast("dict[str, dict[str, str]]", response).get("Error", {}).get("Code", "no code")
    return f"AWS refused {getattr(error, 'operation_name', 'a call')} ({code})."


class Asker:
    """Asks sources, and keeps answers for some seconds: many who look at once ask once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: Bounded[Hashable, tuple[float, Hashable, object]] = Bounded(_KEPT)
        self._locks: dict[Hashable, threading.Lock] = {}

    def ask(
        self,
        what: str,
        read: Callable[[], T],
        *,
        seconds: float = 2.0,
        key: Hashable = None,
        state: Hashable = None,
    ) -> Known[T]:
        """Return `what` a source says: no older than `seconds`, and of this `state`.

        `key` tells equal words apart. Of those who ask at once one asks the source, and the others
        wait for it. Only what we did wrong ourselves is raised.
        """
        place = (what, key)
        with self._locks.setdefault(place, threading.Lock()):
            held = self._answers.get(place)
            if held and self._clock() - held[0] <= seconds and held[1] == state:
                return cast("Known[T]", held[2])
            fresh = _ask(what, read)
            if seconds:
                self._answers.put(place, (self._clock(), state, fresh))
            return fresh


def _ask(what: str, read: Callable[[], T]) -> Known[T]:
    try:
        return Known(read())
    except (LedgerError, PromptHubError) as error:
        return Known(None, f"{what}: {error}")
    except Exception as error:
        # Told by its module, so that this one never imports botocore.
        if not type(error).__module__.startswith("botocore."):
            raise
        return Known(None, f"{what}: {_reason(error)}")
