"""A mapping of bounded size: the oldest entry makes room for the newest."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Bounded(Generic[KeyT, ValueT]):
    """What was made lately, for several threads; looking something up takes no lock."""

    def __init__(self, most: int) -> None:
        """Hold `most` entries."""
        self._most = most
        self._held: dict[KeyT, ValueT] = {}
        self._lock = threading.Lock()

    def get(self, key: KeyT) -> ValueT | None:
        """Return what is held under `key`."""
        return self._held.get(key)

    def put(self, key: KeyT, value: ValueT) -> None:
        """Hold `value`; one goes, not all, so that a few too many cost a few only."""
        with self._lock:
            if key not in self._held and len(self._held) >= self._most:
                del self._held[next(iter(self._held))]
            self._held[key] = value

    def drop(self, key: KeyT) -> None:
        """Hold it no longer."""
        with self._lock:
            self._held.pop(key, None)
