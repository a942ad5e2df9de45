"""What a source said, or why it is not known: one silent source must not hide what others say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from prompt_hub.core.bounded import Bounded
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.imports import gc_paused
from prompt_hub.ledger.errors import LedgerError

T = TypeVar("T")
_KEPT = 4_000
"""Answers that are remembered at most."""


@dataclass(frozen=True)
class Known(Generic[T]):
    """A source's answer; where there is none, `problem` says which part is unknown and why."""

    value: T | None
    problem: str | None = None
    reading: bool = False
    """Whether the source is being read; `value` is what it said before."""
    absent: bool = False
    """Whether the source said that there is no such thing; `problem` says which."""

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


class Aside:
    """Reads in threads what takes seconds, once for all who ask, and keeps none of it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2)
        self._running: dict[Hashable, Future[object]] = {}
        self._lock = threading.Lock()

    def read(self, key: Hashable, read: Callable[[], T], patience: float | None) -> T | None:
        """Return what `read` does; None where it takes longer than `patience` seconds and goes on.

        `key` says what is read: who asks for it meanwhile waits for the same.
        """
        with self._lock:
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = self._threads.submit(_read_and_keep, read)
        if not wait([running], patience).done:
            return None
        with self._lock:
            if self._running.get(key) is running:
                del self._running[key]
        return cast("T", running.result())


def _read_and_keep(read: Callable[[], object]) -> object:
    # What is read stays: to look for garbage in it takes as long as the reading.
    with gc_paused():
        return read()


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
