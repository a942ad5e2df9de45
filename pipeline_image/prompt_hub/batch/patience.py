"""An outage of the provider is waited out: records are asked again, none is given up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from prompt_hub.batch.backends import Backend, RecordAnswer, VersionInfo
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.repository.schema import JsonObject

logger = logging.getLogger(__name__)

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0


class PatientBackend:
    """Asks another backend; while that gives no answer, one record at a time tries it.

    The wait between two tries doubles up to a minute. The records take turns, so that one which the
    provider never answers does not hold up the others. When nothing has been answered for
    `patience` seconds, what the backend raises comes out, for all that wait at once. If an example
    is answered then and the record that waits is not, it is that record's fault alone.

    What the provider refuses for the sake of one request comes out at once: no wait helps.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        patience: float,
        say: Callable[[str], None],
        example: Callable[[], JsonObject | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Ask `backend`.

        Args:
            backend: who answers.
            patience: seconds without any answer after which it is given up.
            say: is told when an outage begins and ends.
            example: finds fields that the model is known to answer; None where there are none.
            clock: monotonic seconds.
            sleep: waits.
        """
        self._backend = backend
        self._patience = patience
        self._say = say
        self._example = example
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        """When the outage began; None while there is none."""
        self._over: ModelUnavailableError | None = None
        """What was raised when patience was over."""
        self._wait = FIRST_WAIT
        self._turn = asyncio.Lock()

    @property
    def answered_by(self) -> VersionInfo:
        """What answers now."""
        return self._backend.answered_by

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        """Answer one record; raises `ModelUnavailableError` when patience is over."""
        while True:
            ask = self._ask if self._since is None else self._try
            answer = await ask(fields, record)
            if answer is not None:
                return answer

    async def _try(self, fields: JsonObject, record: int) -> RecordAnswer | None:
        """Ask after a wait, when it is this record's turn; None if it is to ask again."""
        async with self._turn:
            if self._since is None:
                return None
            if self._over is not None:
                raise self._over
            await self._sleep(self._wait)
            self._wait = min(LONGEST_WAIT, 2 * self._wait)
            return await self._ask(fields, record)

    async def _ask(self, fields: JsonObject, record: int) -> RecordAnswer | None:
        try:
            answer = await self._backend.answer(fields, record)
        except ModelUnavailableError as error:
            if error.of_request:
                raise
            now = self._clock()
            if self._since is None:
                self._since = now
                # A log keeps it, and the provider's own words may quote the record.
                self._say(f"{error.public_message} Waiting for it, up to {self._patience:g} s.")
            if now - self._since >= self._patience:
                answer = await self._without_outage(fields, record, error)
                self._answers_again()
                return answer
            logger.info("no answer for %.0f s", now - self._since)
            return None
        self._answers_again()
        return answer

    def _answers_again(self) -> None:
        if self._since is not None:
            self._say(f"It answers again, after {self._clock() - self._since:.0f} s.")
            self._since, self._over, self._wait = None, None, FIRST_WAIT

    async def _without_outage(
        self, fields: JsonObject, record: int, error: ModelUnavailableError
    ) -> RecordAnswer:
        """Ask once more where an example is answered, so that there is no outage.

        Raises `ModelUnavailableError`: `of_request` where this record alone has no answer.
        """
        example = await asyncio.to_thread(self._example)
        try:
            if example is None:
                raise error
            await self._backend.answer(example)
        except ModelUnavailableError:
            self._over = error
            raise error from None
        try:
            return await self._backend.answer(fields, record)
        except ModelUnavailableError as again:
            self._answers_again()
            raise ModelUnavailableError(
                again.message, public_message=again.public_message, of_request=True
            ) from None
