"""Bounded concurrency, work off the event loop, and time limits."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import ParamSpec, TypeVar

Piece = TypeVar("Piece")
ResultT = TypeVar("ResultT")
Arguments = ParamSpec("Arguments")

SMALL = 4096
"""Bytes or characters whose reading, judging or writing takes an event loop no millisecond."""


def cancel_on_sigterm() -> None:
    """Let SIGTERM cancel the task that runs now: ECS sends it before it kills a container."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


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
        self._running: dict[_Limited, float] = {}
        """When the time of each is over, in this order."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> _Limited:
        """Return a context for what one task does, to be entered once."""
        return _Limited(self)

    def begin(self, limited: _Limited, loop: asyncio.AbstractEventLoop) -> None:
        """Count the time of one from now on."""
        if self._loop is not loop:
            self._loop, self._timer = loop, None
            self._running.clear()
        self._running[limited] = due = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._look, loop)

    def end(self, limited: _Limited) -> None:
        """Count it no longer."""
        self._running.pop(limited, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._running:
            limited, due = next(iter(self._running.items()))
            if due > now:
                self._timer = loop.call_at(due, self._look, loop)
                return
            del self._running[limited]
            limited.cancel()


class _Limited:
    """What is held to a `TimeLimit`.

    `asyncio.Timeout` does as much. It is entered and left by coroutines of its own, and a call of
    the service is held to two limits.
    """

    __slots__ = ("_before", "_late", "_limit", "_task")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._late = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only what a task does can be held to a time")
        self._task, self._before = task, task.cancelling()
        self._limit.begin(self, task.get_loop())

    def cancel(self) -> None:
        """End it: its time is over."""
        self._late = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._limit.end(self)
        # Where somebody else has cancelled the task as well, that is what happened to it.
        alone = self._late and self._task.uncancel() <= self._before
        if alone and kind is asyncio.CancelledError:
            raise TimeoutError from error
