"""The retry layer in virtual time: how long it waits, how often it asks, when it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from prompt_hub.llm.rate_limit import Limiter
from prompt_hub.llm.retry import (
    Attempt,
    CallStats,
    PermanentError,
    Retries,
    TransientError,
    parse_retry_after,
)
from tests.unit.virtual_time import clock, in_virtual_time

PATIENT = Retries(clock=clock, jitter=lambda: 1.0)


class Model:
    """Fails as it is told, then says "yes"; remembers when it was asked."""

    def __init__(self, *failures: Exception, seconds: float = 0.0) -> None:
        self._failures = list(failures)
        self._seconds = seconds
        self.asked: list[float] = []

    async def __call__(self) -> str:
        self.asked.append(clock())
        await asyncio.sleep(self._seconds)
        if self._failures:
            raise self._failures.pop(0)
        return "yes"


def run(
    model: Callable[[], Awaitable[str]],
    retries: Retries = PATIENT,
    *,
    timeout: float = 60,
    until: float | None = None,
    stats: CallStats | None = None,
) -> Attempt[str]:
    async def main() -> Attempt[str]:
        limiter = Limiter(4, clock=clock)
        try:
            return await retries.run(
                model,
                limiter=limiter,
                tokens=0,
                timeout=timeout,
                stats=stats or CallStats(),
                until=until,
            )
        finally:
            assert limiter.in_flight == 0

    return in_virtual_time(main)


def test_the_wait_doubles_up_to_a_bound() -> None:
    model = Model(*[TransientError("broken", busy=True)] * 8)
    attempt = run(model)
    assert attempt.attempts == 9
    waits = [later - earlier for earlier, later in zip(model.asked, model.asked[1:], strict=False)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 20, 20]


def test_waits_are_spread_so_that_calls_do_not_come_back_together() -> None:
    soonest, latest = Model(TransientError("x")), Model(TransientError("x"))
    run(soonest, Retries(clock=clock, jitter=lambda: 0.0))
    run(latest, Retries(clock=clock, jitter=lambda: 1.0))
    assert (soonest.asked[1], latest.asked[1]) == (0.25, 0.5)


def test_a_provider_that_says_when_to_come_back_is_believed() -> None:
    model = Model(TransientError("HTTP 429", busy=True, after=7))
    run(model)
    assert 7 <= model.asked[1] < 8


def test_an_attempt_that_takes_too_long_is_ended_and_made_again() -> None:
    model = Model(seconds=100)
    with pytest.raises(PermanentError, match="it took longer than 10 s, 6 times"):
        run(model, timeout=10)
    assert len(model.asked) == 6


def test_seconds_are_those_of_the_attempt_that_was_answered() -> None:
    attempt = run(Model(TransientError("broken"), seconds=2))
    assert (attempt.result, attempt.attempts, attempt.seconds) == ("yes", 2, 2)


def test_no_attempt_is_begun_after_the_end() -> None:
    model = Model(*[TransientError("broken")] * 5)
    with pytest.raises(PermanentError, match="no time left"):
        run(model, until=3)
    assert model.asked == [0, 0.5, 1.5]


def test_an_attempt_that_lasts_beyond_the_end_is_the_last_one() -> None:
    model = Model(*[TransientError("broken")] * 5, seconds=4)
    with pytest.raises(PermanentError, match="no time left"):
        run(model, until=3)
    assert model.asked == [0]


def test_a_call_that_was_not_let_in_before_the_end_is_not_made() -> None:
    async def main() -> float:
        limiter = Limiter(1, clock=clock)
        await limiter.acquire()
        with pytest.raises(PermanentError, match="no time left"):
            await PATIENT.run(
                Model(), limiter=limiter, tokens=0, timeout=9, stats=CallStats(), until=5
            )
        return clock()

    assert in_virtual_time(main) == 5


def test_a_wait_that_cannot_end_in_time_is_not_begun() -> None:
    async def main() -> float:
        limiter = Limiter(4, clock=clock)
        for place in [await limiter.acquire(), await limiter.acquire()]:
            place.release(busy=True, pause=30)
        with pytest.raises(PermanentError, match=r"^it is busy, and asks to wait 30 s more$"):
            await PATIENT.run(
                Model(), limiter=limiter, tokens=0, timeout=9, stats=CallStats(), until=20
            )
        return clock()

    assert in_virtual_time(main) == 0


def test_who_waits_to_ask_again_in_vain_says_why_it_must() -> None:
    async def main() -> float:
        limiter = Limiter(2, clock=clock)

        async def fail() -> str:
            # The next place is somebody else's, for long.
            await limiter.acquire()
            raise TransientError("HTTP 429", detail="Rate limit reached", busy=True)

        with pytest.raises(PermanentError, match="no time left to ask again") as caught:
            await PATIENT.run(
                fail, limiter=limiter, tokens=0, timeout=9, stats=CallStats(), until=20
            )
        assert caught.value.reason == "HTTP 429, and there is no time left to ask again"
        assert caught.value.detail == "Rate limit reached"
        return clock()

    assert in_virtual_time(main) == 20


def test_a_failure_that_stays_is_not_tried_again() -> None:
    model = Model(PermanentError("HTTP 401"))
    with pytest.raises(PermanentError, match=r"^HTTP 401$"):
        run(model)
    assert len(model.asked) == 1


def test_what_went_over_the_wire_is_counted() -> None:
    stats = CallStats()
    run(
        Model(TransientError("HTTP 429", busy=True), TransientError("no connection")),
        stats=stats,
    )
    assert stats == CallStats(sent=3, retried=2, busy=1, trouble="no connection")


def test_a_call_that_waits_to_be_made_again_keeps_no_place() -> None:
    async def main() -> float:
        limiter = Limiter(1, clock=clock)

        def ask(model: Model) -> Awaitable[Attempt[str]]:
            return PATIENT.run(model, limiter=limiter, tokens=0, timeout=9, stats=CallStats())

        first, second = Model(TransientError("broken"), seconds=0.1), Model()
        await asyncio.gather(ask(first), ask(second))
        return second.asked[0]

    assert in_virtual_time(main) == pytest.approx(0.1)


NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "milliseconds", "seconds"),
    [
        (None, None, None),
        ("2", None, 2),
        ("0.5", None, 0.5),
        ("-3", None, 0),
        ("2", "250", 0.25),
        ("Tue, 03 Nov 2026 12:00:30 GMT", None, 30),
        ("Tue, 03 Nov 2026 11:00:00 GMT", None, 0),
        ("Tue, 03 Nov 2026 12:00:30", None, 30),
        ("soon", None, None),
        ("", None, None),
        ("nan", None, None),
        ("inf", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    header: str | None, milliseconds: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(header, milliseconds, now=NOON) == seconds
