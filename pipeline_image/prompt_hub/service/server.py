"""The server that runs the service: uvicorn's, which wakes up less often while nobody asks."""

from __future__ import annotations

import asyncio
from types import FrameType

import uvicorn

TICK_SECONDS = 1.0
"""How often the date of answers moves on."""


class QuietServer(uvicorn.Server):
    """Looks up once a second, and when it is told to stop.

    uvicorn's own looks ten times a second whether it was told to. By its length a look was in the
    way of one call in a hundred.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _told: asyncio.Event

    async def main_loop(self) -> None:
        """Run until told to stop."""
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # Counted anew, each look is one that sets the date.
        while not await self.on_tick(0):
            tick = self._loop.call_later(TICK_SECONDS, self._told.set)
            await self._told.wait()
            tick.cancel()
            self._told.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal, and wake up for it: it may come while the event loop waits."""
        super().handle_exit(sig, frame)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)
