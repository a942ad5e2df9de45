"""How often each caller may ask: one number a caller, in memory that all workers share.

The number is the time at which a caller's allowance will be whole again (GCRA, as ATM networks and
Redis have it). What has passed says nothing any more, so its place may be anybody's: memory is
bounded, and to be forgotten takes nothing from anybody.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b

from prompt_hub.llm.rate_limit import BURST_SECONDS

BUCKETS = 8192
WAYS = 8
"""Places of one bucket: 65,536 callers in debt at once, twice what a quarter of a core answers in a
minute. Memory is taken as places are used, 16 bytes each."""
_ROUNDING = 1e-6
"""Seconds by which sums of times may be off."""


@dataclass(frozen=True)
class Quota:
    """Calls of one caller a minute, of which those of ten seconds may come at once."""

    per_minute: float

    @property
    def burst(self) -> float:
        """Calls that may come at once, after a rest: one at least."""
        return max(1.0, self.per_minute * BURST_SECONDS / 60)


class QuotaTable:
    """Lets a caller ask no more than the quota and one burst in any minute, over all workers.

    Where a bucket is full of callers in debt, who owes least is forgiven.
    """

    def __init__(
        self,
        lock: AbstractContextManager[object],
        *,
        buckets: int = BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make room, before workers are started; `clock` must be the same one in all of them."""
        self._lock = lock
        self._buckets = buckets
        self.clock = clock
        places = buckets * WAYS
        memory = memoryview(mmap.mmap(-1, 16 * places))
        self._keys = memory[: 8 * places].cast("Q")
        self._whole_at = memory[8 * places :].cast("d")
        # Nobody can choose a name that falls on another's place.
        self._secret = os.urandom(16)

    def take(self, caller: str, quota: Quota) -> float:
        """Use one call of a caller's allowance; returns 0, or how long it has to wait instead.

        A call that is sent away uses nothing.
        """
        digest = blake2b(caller.encode(), digest_size=8, key=self._secret).digest()
        key = int.from_bytes(digest, "little") or 1
        first = key % self._buckets * WAYS
        interval = 60 / quota.per_minute
        with self._lock:
            now = self.clock()
            keys = self._keys[first : first + WAYS].tolist()
            times = self._whole_at[first : first + WAYS].tolist()
            if key in keys:
                place = keys.index(key)
                debt = max(0.0, times[place] - now)
                wait = debt - (quota.burst - 1) * interval
                if wait > _ROUNDING:
                    return wait
            else:
                place = times.index(min(times))
                debt = 0.0
                self._keys[first + place] = key
            self._whole_at[first + place] = now + debt + interval
        return 0.0
