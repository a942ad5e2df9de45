"""Many pieces of work at once, but never more than so many; and none that others wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import ParamSpec, TypeVar

Piece = TypeVar("Piece")
ResultT = TypeVar("ResultT")
Arguments = ParamSpec("Arguments")

SMALL = 4096
"""Bytes or characters whose reading, judging or writing takes an event loop no millisecond."""


async def map_concurrently(
    pieces: Iterable[Piece], work: Callable[[Piece], Awaitable[None]], width: int
) -> None:
    """Do `work` on every piece, `width` at a time; the pieces are drawn as they are needed.

    The first exception ends all work in hand and comes out as it is.
    """
    waiting = iter(pieces)

    async def worker() -> None:
        for piece in waiting:
            await work(piece)

    workers = [asyncio.ensure_future(worker()) for _ in range(width)]
    try:
        await asyncio.gather(*workers)
    finally:
        for item in workers:
            item.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def run_off_loop(
    size: int,
    work: Callable[Arguments, ResultT],
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> ResultT:
    """Do `work` on something of `size` bytes: in a thread, so that nobody waits, unless small.

    A thread costs more than a small piece of work does.
    """
    if size <= SMALL:
        return work(*arguments, **named)
    return await asyncio.to_thread(work, *arguments, **named)


class TimeLimit:
    """Ends what takes longer than so many seconds, as `asyncio.timeout` does: `TimeoutError`.

    It serves one event loop at a time: on another one it forgets what ran on the one before.

    It has one timer. A timer for each call of thousands that are answered in time is set, cancelled
    and sorted out again for nothing.
    """

    def __init__(self, seconds: float) -> None:
        """Make a limit of `seconds`, the same for all that is held to it."""
        self.seconds = seconds
        self._running: dict[asyncio.Timeout, float] = {}
        """When the time of each is over, in this order."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> _Limited:
        """Return a context, to be entered once with `async with`."""
        return _Limited(self)

    def begin(self, timeout: asyncio.Timeout) -> None:
        """Count the time of one from now on."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._timer = loop, None
            self._running.clear()
        self._running[timeout] = due = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._look, loop)

    def end(self, timeout: asyncio.Timeout) -> None:
        """Count it no longer."""
        self._running.pop(timeout, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._running:
            timeout, due = next(iter(self._running.items()))
            if due > now:
                self._timer = loop.call_at(due, self._look, loop)
                return
            del self._running[timeout]
            timeout.reschedule(now)


class _Limited:
    """What is held to a `TimeLimit`."""

    __slots__ = ("_limit", "_timeout")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._limit.begin(self._timeout)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._limit.end(self._timeout)
        await self._timeout.__aexit__(kind, error, trace)
