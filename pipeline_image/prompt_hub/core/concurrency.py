"""Many pieces of work at once, but never more than so many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Piece = TypeVar("Piece")


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
