"""How many calls may go to one model at once, and how many a minute."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

RECOVERY = 8
"""So many rounds of answered calls bring the window from nothing back to the ceiling."""
BURST_SECONDS = 10.0
"""So much of a minute's allowance may be used at once; a provider refills its own steadily, too."""
NEARLY_NOTHING = 1e-9
"""Less of a request or token than this is what rounding leaves, and counts as nothing."""


class Rate:
    """An allowance per minute that refills steadily.

    What is taken may exceed what is there, if all is there: a single request larger than the burst
    must pass, and what it takes too much is waited for afterwards.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._at = clock()
        self._left = math.inf
        self._refill_at(1.0)

    def keep_to(self, share: float) -> None:
        """Refill at this part of the allowance from now on."""
        self._refill()
        self._refill_at(share)

    def wait(self, amount: float) -> float:
        """Seconds until `amount` may be taken; 0 if it may be now."""
        self._refill()
        missing = min(amount, self._most) - self._left
        # Less than a clock could show would be waited for again and again.
        return missing / self._per_second if missing > NEARLY_NOTHING else 0.0

    def _refill_at(self, share: float) -> None:
        self._per_second = self._per_minute * share / 60
        self._most = max(1.0, self._per_second * BURST_SECONDS)
        self._left = min(self._left, self._most)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now

    def take(self, amount: float) -> None:
        """Use `amount`; a negative one gives back what was taken too much."""
        self._left -= amount


class Slot:
    """One call's place among those in flight; to be left exactly once."""

    __slots__ = ("_generation", "_limiter")

    def __init__(self, limiter: Limiter, generation: int) -> None:
        self._limiter = limiter
        self._generation = generation

    def release(self, *, busy: bool = False, failed: bool = False, pause: float = 0.0) -> None:
        """Give the place back, saying how it ended; `pause` is the wait that was asked for."""
        self._limiter.released(self._generation, busy=busy, failed=failed, pause=pause)


class Limiter:
    """Lets calls of one model through, first come, first served.

    The window, the number of calls in flight, halves when the provider is busy, and grows back to
    `ceiling` with every answer: additive increase, multiplicative decrease, as in TCP. Calls that
    were sent before the window was halved do not halve it again: they are of the same burst.

    When the provider says how long it will be busy, and says so to two calls in a row, nobody is
    let in for so long. One busy answer among others that succeed concerns that call alone.
    """

    def __init__(
        self,
        ceiling: int,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._whole = ceiling
        self.ceiling = ceiling
        self.window = float(ceiling)
        self.in_flight = 0
        self._clock = clock
        self._sleep = sleep
        self._requests = Rate(requests_per_minute, clock) if requests_per_minute else None
        self._tokens = Rate(tokens_per_minute, clock) if tokens_per_minute else None
        self._paused_until = 0.0
        self._busy_in_a_row = 0
        self._halvings = 0
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()

    def keep_to(self, share: float) -> None:
        """Keep to this part of every limit from now on; calls in flight are not disturbed.

        A window that shall be wider grows as it does after the provider was busy.
        """
        self.ceiling = max(1, int(self._whole * share))
        self.window = min(self.window, self.ceiling)
        for rate in (self._requests, self._tokens):
            if rate is not None:
                rate.keep_to(share)
        self._room.set()

    @property
    def pause(self) -> float:
        """Seconds for which nobody is let in, as the provider asks to wait; 0 if it does not."""
        return max(0.0, self._paused_until - self._clock())

    async def acquire(self, tokens: int = 0) -> Slot:
        """Wait for a place; `tokens` is what the call is expected to use."""
        slot = self.acquire_now(tokens)
        if slot is not None:
            return slot
        async with self._turn:
            while True:
                while not self._has_room():
                    self._room.clear()
                    await self._room.wait()
                wait = self._wait(tokens)
                if wait <= 0:
                    break
                logger.debug("a call waits %.2f s for its turn", wait)
                await self._sleep(wait)
            return self._let_in(tokens)

    def acquire_now(self, tokens: int = 0) -> Slot | None:
        """Take a place if nobody waits for one and no wait is due; None otherwise."""
        if self._turn.locked() or not self._has_room() or self._wait(tokens) > 0:
            return None
        return self._let_in(tokens)

    def correct(self, tokens: int) -> None:
        """Take as many tokens more than a call had announced; negative if it used fewer."""
        if self._tokens is not None:
            self._tokens.take(tokens)

    def released(self, generation: int, *, busy: bool, failed: bool, pause: float) -> None:
        """Take back the slot of a call that has ended (see `Slot.release`)."""
        self.in_flight -= 1
        self._busy_in_a_row = self._busy_in_a_row + 1 if busy else 0
        if busy:
            if generation == self._halvings:
                self.window = max(1.0, self.window / 2)
                self._halvings += 1
                logger.info(
                    "the provider is busy: %d of %d calls at once from now on",
                    int(self.window),
                    self.ceiling,
                )
            if self._busy_in_a_row > 1:
                self._paused_until = max(self._paused_until, self._clock() + pause)
                logger.info("the provider is busy again: no call for %.2f s", pause)
        elif not failed:
            self.window = min(
                self.ceiling, self.window + self.ceiling / (RECOVERY * max(1.0, self.window))
            )
        self._room.set()

    def _has_room(self) -> bool:
        return self.in_flight < int(self.window)

    def _wait(self, tokens: int) -> float:
        wait = self._paused_until - self._clock()
        if self._requests is not None:
            wait = max(wait, self._requests.wait(1))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens))
        return wait

    def _let_in(self, tokens: int) -> Slot:
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)
        return Slot(self, self._halvings)
