"""One run at a time measures a stage: the lease that says which, kept while the run lives."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.items import timestamp
from prompt_hub.ledger.rounds import WatchLease, WatchRounds

logger = logging.getLogger(__name__)

LEASE_SECONDS = 90.0
"""After so long without a sign of life a run counts as dead."""
RENEW_SECONDS = 20.0
WAIT_SECONDS = 5.0


class LeaseLostError(Exception):
    """Another run took the lease: this one gave no sign of life for too long."""


class Lease:
    """The lease of one run. `held` raises `LeaseLostError` once another run has it."""

    def __init__(
        self,
        rounds: WatchRounds,
        release: str,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rounds = rounds
        self._release = release
        self._clock = clock
        self._sleep = sleep
        self._holder = uuid.uuid4().hex
        self._own: WatchLease | None = None

    async def take(self) -> bool:
        """Take the lease; false where a run with the image of the same release has it.

        A run with another image is waited for: it cannot measure what this image brought.
        """
        while True:
            found = self._rounds.lease()
            if found is None or found.until <= timestamp(self._clock()):
                try:
                    self._prolong(found)
                except LedgerConflictError:
                    continue
                return True
            if found.release == self._release:
                return False
            await self._sleep(WAIT_SECONDS)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Prolong the lease in the background; give it back at the end."""
        ended = asyncio.Event()
        renewal = asyncio.create_task(self._renew(ended))
        try:
            yield
        finally:
            # Not cancelled: a write that is on its way would prolong what was given back.
            ended.set()
            await renewal
            self._give_back()

    def check(self) -> None:
        """Raise `LeaseLostError` unless the lease is still this run's."""
        if self._own is None or self._own.until <= timestamp(self._clock()):
            raise LeaseLostError

    async def _renew(self, ended: asyncio.Event) -> None:
        while self._own is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), RENEW_SECONDS)
                return
            try:
                await asyncio.to_thread(self._prolong, self._own)
            except LedgerConflictError:
                self._own = None
            except Exception as error:
                # The next try comes before the lease has run out.
                logger.warning("the lease was not prolonged: %s", error)

    def _prolong(self, before: WatchLease | None) -> None:
        until = timestamp(self._clock() + timedelta(seconds=LEASE_SECONDS))
        lease = WatchLease(holder=self._holder, release=self._release, until=until)
        self._rounds.hold(lease, before=before)
        self._own = lease

    def _give_back(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            ended = WatchLease(
                holder=own.holder, release=own.release, until=timestamp(self._clock())
            )
            # Where it is lost already, or the ledger is away, it runs out by itself.
            with suppress(Exception):
                self._rounds.hold(ended, before=own)
