"""What a provider is asked about batches: each is started once, found again, and waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import IO, TypeVar

from prompt_hub.evaluation.batch_journal import OpenBatch
from prompt_hub.llm.batches import BatchAdapter, BatchAnswer, BatchState
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.retry import PermanentError, Retries, TransientError

ResultT = TypeVar("ResultT")

TRIES = 6
"""Times that the provider is asked for the same thing, where it fails."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between two questions how far a batch is: a tenth of its age, within these."""
SILENT_SECONDS = 3600.0
"""So long a provider may not say how far a batch is, before it is waited for another time."""
PROGRESS_SECONDS = 15.0
"""Seconds between two lines about a batch that only counts up."""


class GivenUpError(Exception):
    """No batch helps here; the message is one sentence for people."""


class NotStartedError(GivenUpError):
    """The provider says itself that it has started none."""


class QueueFullError(Exception):
    """The provider has too much waiting already, and has started none; the message is its own."""


@dataclass(kw_only=True)
class BatchProvider:
    """The batches of one model, on behalf of one prompt."""

    model: ModelConfig
    adapter: BatchAdapter
    name: str
    """Whose batches these are, for people."""
    say: Callable[[str], None]

    def tell(self, words: str) -> None:
        """Say something about these batches."""
        self.say(f"  {self.name}: {words}")

    async def upload(self, lines: IO[bytes], tag: str) -> str:
        """Hand in the requests of a batch; raises `GivenUpError`."""

        async def upload() -> str:
            lines.seek(0)
            return await self.adapter.upload(self.model, lines, tag)

        return await self._tried(upload, "the requests of a batch could not be handed in")

    async def start(self, uploaded: str, batch: OpenBatch) -> BatchState:
        """Start a batch once, whatever becomes of the provider's answer.

        Raises:
            QueueFullError: it started none, as too much is waiting.
            NotStartedError: it started none, for another reason.
            GivenUpError: nobody knows.
        """
        lost = ""
        for _ in range(TRIES):
            refused = False
            try:
                return await self.adapter.create(self.model, uploaded, batch.tag)
            except (TransientError, PermanentError) as error:
                why = error.in_words()
                full = isinstance(error, TransientError) and error.reason == "HTTP 429"
                refused = isinstance(error, PermanentError)
                # Once an answer was lost, a refusal is about the second batch and not the first.
                if full and not lost:
                    raise QueueFullError(why) from None
                if refused and not lost:
                    raise NotStartedError(f"a batch was refused: {why}") from None
                lost = lost or why
            # It may have been started, and only its answer lost.
            if (found := await self.find(batch)) is not None:
                return found
            if refused:
                break
        raise GivenUpError(
            f"nobody knows whether a batch was started ({lost}); the next run looks for it"
        )

    async def find(self, batch: OpenBatch) -> BatchState | None:
        """Look for a batch by its tag; a provider may list a new one late."""

        async def find() -> BatchState | None:
            return await self.adapter.find(self.model, batch.tag, batch.at)

        for attempt in range(TRIES):
            await asyncio.sleep(FIRST_PAUSE * 2**attempt if attempt else 0)
            found = await self._tried(find, "batches could not be listed")
            if found is not None:
                return found
        return None

    async def wait(self, name: str, requests: int) -> BatchState | None:
        """Wait until a batch has ended; None where there is no such batch."""
        started = spoken = heard = time.monotonic()
        told = ("", 0, 0)
        while True:
            now = time.monotonic()
            try:
                state = await self.adapter.state(self.model, name)
            except PermanentError as error:
                raise self._silent(name, error.in_words()) from None
            except TransientError as error:
                why = error.in_words()
            else:
                if state is None or state.phase in {"ended", "failed"}:
                    if state is not None:
                        self._tell_progress(state, requests, now - started)
                    return state
                # A word that is not known here may mean that nothing more comes.
                why = f"its word {state.status!r} is not known here"
                heard = now if state.phase == "waiting" else heard
                counts = (state.status, state.answered, state.failed)
                if counts[0] != told[0] or (counts != told and now - spoken >= PROGRESS_SECONDS):
                    self._tell_progress(state, requests, now - started)
                    told, spoken = counts, now
            if now - heard > SILENT_SECONDS:
                raise self._silent(name, why)
            await asyncio.sleep(min(LONGEST_PAUSE, max(FIRST_PAUSE, (now - started) / 10)))

    async def read(self, state: BatchState, take: Callable[[BatchAnswer], None]) -> None:
        """Give every answer of an ended batch to `take`, some of them twice; raises as `upload`."""

        async def read() -> None:
            answers: AsyncIterator[BatchAnswer] = self.adapter.answers(self.model, state)
            async for answer in answers:
                take(answer)

        await self._tried(read, f"batch {state.id}: its answers")

    async def _tried(self, act: Callable[[], Awaitable[ResultT]], what: str) -> ResultT:
        """Do what may be done twice; raises `GivenUpError` where it cannot be done."""
        for attempt in range(TRIES):
            try:
                return await act()
            except PermanentError as error:
                raise GivenUpError(f"{what}: {error.in_words()}") from None
            except TransientError as error:
                why = error.in_words()
                after = error.after or 0.0
                if after > Retries.longest_asked:
                    raise GivenUpError(f"{what}: {why}; it asks to wait {after:.0f} s") from None
                await asyncio.sleep(max(after, FIRST_PAUSE * 2**attempt))
        raise GivenUpError(f"{what}, {TRIES} times: {why}")

    def _silent(self, name: str, why: str) -> GivenUpError:
        return GivenUpError(
            f"the provider does not say how far the batch {name} is ({why}); the next run goes on"
            " waiting"
        )

    def _tell_progress(self, state: BatchState, requests: int, seconds: float) -> None:
        minutes, rest = divmod(int(seconds), 60)
        self.tell(
            f"batch {state.id} {state.status}: {state.answered:,} of {state.total or requests:,}"
            f" answered, {state.failed:,} failed, {minutes}:{rest:02} so far"
        )
