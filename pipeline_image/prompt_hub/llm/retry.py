"""The one layer that asks again: which failures, how often, how long between."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Generic, TypeVar

from prompt_hub.core.wording import count
from prompt_hub.llm.rate_limit import Limiter, Slot

ResultT = TypeVar("ResultT")
Tokens = tuple[int, int]
"""Input and output tokens, as a provider has counted them."""
NO_TOKENS: Tokens = (0, 0)
logger = logging.getLogger(__name__)


class CallError(Exception):
    """A call that brought no answer."""

    tokens = NO_TOKENS
    """What the provider says that it took all the same, with the attempts before it."""

    def __init__(self, reason: str, *, detail: str = "", busy: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        """What happened, in our words."""
        self.detail = detail
        """The provider's own words, fit for the author of a prompt and not for a caller."""
        self.busy = busy
        """The provider had too many requests, or no quota is left for them."""

    def in_words(self) -> str:
        """Say what happened, and what the provider says about it."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason

    def add(self, earlier: CallError | None) -> None:
        """Count what an earlier attempt took, too."""
        if earlier is not None:
            (sent, received), (sent_before, received_before) = self.tokens, earlier.tokens
            self.tokens = (sent + sent_before, received + received_before)


class PermanentError(CallError):
    """There is no answer, and asking again now would not help."""

    of_key = False
    """The provider is there and refuses the key that was sent."""

    def __init__(
        self, reason: str, *, detail: str = "", busy: bool = False, of_request: bool = False
    ) -> None:
        super().__init__(reason, detail=detail, busy=busy)
        self.of_request = of_request
        """The provider is there and refuses this one request."""


class TransientError(CallError):
    """An attempt that failed as the next one need not."""

    def __init__(
        self, reason: str, *, detail: str = "", busy: bool = False, after: float | None = None
    ) -> None:
        super().__init__(reason, detail=detail, busy=busy)
        self.after = after
        """Seconds that the provider asked to wait."""


DENIED = frozenset({401, 403})
"""What a provider says to a key that is wrong, was rotated or taken away."""
RETRYABLE = frozenset({408, 409, 425, 429})
"""Refusals that the next attempt need not meet, as every status from 500 on."""
OF_REQUEST = frozenset({400, 413, 422})
"""Refusals that may be about what was sent, and not about whoever sends it."""
TOO_LARGE = 413
"""What a request is refused with that is longer than the provider takes."""
THROTTLED = frozenset({429, 503, 529})
"""Refusals that mean too many requests."""


def call_error(
    status: int, *, detail: str, after: float | None, final: bool = False, reason: str = ""
) -> TransientError | PermanentError:
    """Sort a refusal by its HTTP status into one that is tried again and one that is not.

    Args:
        status: the HTTP status.
        detail: the provider's words, made fit to be shown.
        after: seconds that the provider asks to wait.
        final: trying again does not help, whatever the status says.
        reason: what happened, if it was not an answer with this status.
    """
    reason, busy = reason or f"HTTP {status}", status in THROTTLED
    if final or (status not in RETRYABLE and status < 500):
        error = PermanentError(reason, detail=detail, busy=busy, of_request=status in OF_REQUEST)
        error.of_key = status in DENIED
        return error
    return TransientError(reason, detail=detail, busy=busy, after=after)


@dataclass
class CallStats:
    """What went over the wire: attempts sent, those that repeat a failed one, and "busy" answers.

    `trouble` is the last failure in words.
    """

    sent: int = 0
    retried: int = 0
    busy: int = 0
    trouble: str = ""


@dataclass(kw_only=True, slots=True)
class Attempt(Generic[ResultT]):
    """What the provider said at last, in how many attempts; `seconds` is that of the last one."""

    result: ResultT
    attempts: int
    seconds: float
    failure: CallError | None
    """The last attempt that failed before it."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How patient this environment is with a provider; all times in seconds.

    The wait doubles with every failure and is jittered, so that calls that failed together do not
    come back together. A provider that says when to come back is believed, up to `longest_asked`.
    One that is merely busy is asked more often than one that breaks.
    """

    attempts: int = 6
    attempts_if_busy: int = 12
    first: float = 0.5
    longest: float = 20.0
    longest_asked: float = 120.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = field(default=random.random, repr=False)

    async def run(
        self,
        attempt: Callable[[], Awaitable[ResultT]],
        *,
        limiter: Limiter,
        tokens: int,
        timeout: float | None,
        stats: CallStats,
        until: float | None = None,
        queued: AbstractContextManager[object] | None = None,
    ) -> Attempt[ResultT]:
        """Try until there is an answer.

        Args:
            attempt: asks once; raises `TransientError`, or anything else for a failure that stays.
            limiter: lets attempts through; it is told of every one's end.
            tokens: what one attempt will use, as far as known.
            timeout: seconds that one attempt may take; None where the caller ends it in time.
            stats: counts.
            until: time of `clock` after which no attempt is begun.
            queued: entered while the first attempt waits for its place, and may end the wait by an
                exception.

        Raises:
            PermanentError: every attempt failed; says how often and the last reason.
        """
        failure: TransientError | None = None
        for number in range(1, max(self.attempts, self.attempts_if_busy) + 1):
            place = limiter.acquire_now(tokens) or await self._acquire(
                limiter, tokens, number, until, failure, queued
            )
            stats.sent += 1
            started = self.clock()
            try:
                result = await (attempt() if timeout is None else _within(timeout, attempt))
            except TransientError as error:
                error.add(failure)
                pause = min(error.after or 0.0, self.longest_asked)
                place.release(busy=error.busy, failed=not error.busy, pause=pause)
                try:
                    wait = self._wait(number, error, until)
                except PermanentError:
                    logger.info("gave up after attempt %d: %s", number, _kind(error))
                    raise
                logger.info("attempt %d: %s; next in %.2f s", number, _kind(error), wait)
                # A copy: by its traceback the error leads here again, a ring that would be kept.
                failure = TransientError(error.reason, detail=error.detail)
                failure.tokens = error.tokens
                # What was sent is paid for, whoever still waits for it.
                queued = None
                stats.trouble = error.in_words()
                stats.retried += 1
                stats.busy += error.busy
                await self.sleep(wait)
            except BaseException as error:
                place.release(failed=True)
                if isinstance(error, PermanentError):
                    error.add(failure)
                    logger.info("refused at attempt %d: %s", number, _kind(error))
                raise
            else:
                place.release()
                seconds = self.clock() - started
                return Attempt(result=result, attempts=number, seconds=seconds, failure=failure)
        raise AssertionError("the last attempt returns or raises")

    async def _acquire(
        self,
        limiter: Limiter,
        tokens: int,
        number: int,
        until: float | None,
        failure: TransientError | None,
        queued: AbstractContextManager[object] | None,
    ) -> Slot:
        """Wait for a place; raises `PermanentError` when there is none in time."""
        try:
            if until is not None and self.clock() + limiter.pause > until:
                raise TimeoutError
            with queued or nullcontext():
                async with asyncio.timeout(None if until is None else until - self.clock()):
                    return await limiter.acquire(tokens)
        except TimeoutError:
            logger.info("not asked: no time left before attempt %d", number)
            if failure is not None:
                raise _given_up(failure, _NO_TIME) from None
            if limiter.pause:
                raise PermanentError(
                    f"it is busy, and asks to wait {limiter.pause:.0f} s more"
                ) from None
            raise PermanentError(
                "there was no time left to ask it, its limits let no other call through"
            ) from None

    def _wait(self, failed: int, error: TransientError, until: float | None) -> float:
        """Seconds before the next attempt; raises `PermanentError` if there is none."""
        allowed = self.attempts_if_busy if error.busy else self.attempts
        doubled: float = self.first * 2 ** (failed - 1)
        wait = min(self.longest, doubled) * (0.5 + self.jitter() / 2)
        if error.after is not None:
            if error.after > self.longest_asked:
                raise _given_up(error, f"and asks to wait {error.after:.0f} s")
            # Those that were sent away together come back one after the other.
            wait = error.after + wait * 0.1
        if failed >= allowed:
            raise _given_up(error, count(failed, "time"))
        if until is not None and self.clock() + wait > until:
            raise _given_up(error, _NO_TIME)
        return wait


async def _within(seconds: float, attempt: Callable[[], Awaitable[ResultT]]) -> ResultT:
    try:
        async with asyncio.timeout(seconds):
            return await attempt()
    except TimeoutError:
        raise TransientError(f"it took longer than {seconds:g} s") from None


_NO_TIME = "and there is no time left to ask again"
_STATUS = re.compile(r"HTTP \d{3}")


def _kind(error: CallError) -> str:
    """Say what failed without the provider's own words: they may quote what was sent."""
    status = _STATUS.match(error.reason)
    return status[0] if status else "no answer"


def _given_up(error: TransientError, why: str) -> PermanentError:
    given_up = PermanentError(f"{error.reason}, {why}", detail=error.detail)
    given_up.tokens = error.tokens
    return given_up


def parse_retry_after(
    retry_after: str | None, retry_after_ms: str | None = None, *, now: datetime | None = None
) -> float | None:
    """Seconds that a provider's `Retry-After` header asks for, never below 0; None without one.

    The header is a number of seconds or an HTTP date; some providers send `retry-after-ms`, too.
    """
    for text, in_a_second in ((retry_after_ms, 1000), (retry_after, 1)):
        with suppress(ValueError):
            seconds = float(text or "") / in_a_second
            if isfinite(seconds):
                return max(0.0, seconds)
    try:
        when = parsedate_to_datetime(retry_after or "")
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
