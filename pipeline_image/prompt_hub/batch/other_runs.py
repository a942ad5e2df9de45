"""Runs that go on at the same time share a model's limits: each says that it is there, and looks.

A run says so by an object in the store, a new one for each slot of time, under a key that tells
its name and how many processes it has. Nothing has to be taken back: who is dead says nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prompt_hub.batch.objects import Objects
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError

logger = logging.getLogger(__name__)

SLOT_SECONDS = 20
"""How long a slot is, and how often each process looks; two slots after its end a run is gone."""


class OtherRuns:
    """The runs in one store that ask one model, as a process of one of them sees them."""

    def __init__(
        self,
        objects: Objects,
        alias: str,
        run: str,
        children: int,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look from the run `run`, of whose limits each of its `children` has its part already.

        Args:
            objects: where all runs are.
            alias: the model that is asked.
            run: the run.
            children: its processes.
            clock: seconds, the same for every process.
            sleep: waits.
        """
        self._objects = objects
        self._alias = alias
        self._run = run
        self._children = children
        self._clock = clock
        self._sleep = sleep

    @asynccontextmanager
    async def sharing(
        self, keep_to: Callable[[float], None], say: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Keep to this run's share while the context lasts; `say` is told when that changes.

        The first process of a run waits until the other runs must have seen it: no limit is
        exceeded meanwhile. A store that does not answer leaves the share as it was.
        """
        share = 1.0

        async def look() -> bool:
            nonlocal share
            try:
                is_new, found = await asyncio.to_thread(self.look)
            except PromptHubError as error:
                logger.warning("%s Other runs are looked for later.", error)
                return False
            if found != share:
                others = f"other runs ask {self._alias}, too" if found < 1 else "no other run asks"
                say(f"{found:.0%} of this run's limits from now on: {others}.")
                share = found
                keep_to(share)
            return is_new and share < 1

        async def keep_looking() -> None:
            while True:
                await self._sleep(SLOT_SECONDS)
                await look()

        if await look():
            # Each of the others looks in this time.
            await self._sleep(SLOT_SECONDS)
            await look()
        looking = asyncio.create_task(keep_looking())
        try:
            yield
        finally:
            looking.cancel()

    def look(self) -> tuple[bool, float]:
        """Say that this run is there; return whether that is news, and its share of the limits."""
        slot = int(self._clock() // SLOT_SECONDS)
        now, before = (aws_names.answering_prefix(self._alias, each) for each in (slot, slot - 1))
        own = f"{self._run}-{self._children}"
        known, current = self._names(before), self._names(now)
        is_new = own not in known | current
        if own not in current:
            # Said before the last look: of two that begin at once, one sees the other at least.
            self._objects.write(f"{now}{own}", b"")
            current = self._names(now)
        processes = dict(_parse(name) for name in known | current)
        return is_new, self._children / sum(processes.values())

    def _names(self, prefix: str) -> set[str]:
        return {key.rpartition("/")[2] for key in self._objects.keys(prefix)}


def _parse(name: str) -> tuple[str, int]:
    run, _, children = name.rpartition("-")
    return run, int(children)
