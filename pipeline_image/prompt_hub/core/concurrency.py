"""Many pieces of work at once, but never more than so many; and none that others wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
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
