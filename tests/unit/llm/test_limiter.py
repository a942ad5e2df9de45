"""The limiter in virtual time: calls at once, calls a minute, and a provider that is busy."""

from __future__ import annotations

import asyncio

import pytest

from prompt_hub.llm.rate_limit import RECOVERY, Limiter
from tests.unit.virtual_time import clock, in_virtual_time


async def one_call(limiter: Limiter, *, seconds: float = 1.0, busy: bool = False) -> float:
    """Makes a call that takes so long; returns when it was let in."""
    place = await limiter.acquire()
    began = clock()
    await asyncio.sleep(seconds)
    place.release(busy=busy)
    return began


def test_no_more_calls_than_the_ceiling_are_in_flight() -> None:
    async def main() -> list[float]:
        limiter = Limiter(4, clock=clock)
        return await asyncio.gather(*(one_call(limiter) for _ in range(10)))

    assert in_virtual_time(main) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_a_burst_of_busy_answers_halves_the_window_once() -> None:
    async def main() -> None:
        limiter = Limiter(64, clock=clock)
        await asyncio.gather(*(one_call(limiter, busy=True) for _ in range(64)))
        assert limiter.window == 32
        await asyncio.gather(*(one_call(limiter, busy=True) for _ in range(32)))
        assert limiter.window == 16

    in_virtual_time(main)


def test_the_window_never_closes_and_comes_back_with_answers() -> None:
    async def main() -> None:
        limiter = Limiter(64, clock=clock)
        for _ in range(20):
            await one_call(limiter, busy=True)
        assert limiter.window == 1
        for _ in range(RECOVERY + 1):
            await asyncio.gather(*(one_call(limiter) for _ in range(64)))
        assert limiter.window == 64

    in_virtual_time(main)


def test_a_failure_that_is_not_busyness_leaves_the_window_alone() -> None:
    async def main() -> None:
        limiter = Limiter(8, clock=clock)
        (await limiter.acquire()).release(busy=True)
        (await limiter.acquire()).release(failed=True)
        assert limiter.window == 4
        assert limiter.in_flight == 0

    in_virtual_time(main)


def test_one_busy_answer_holds_up_nobody_else() -> None:
    async def main() -> float:
        limiter = Limiter(8, clock=clock)
        (await limiter.acquire()).release(busy=True, pause=30)
        return await one_call(limiter)

    assert in_virtual_time(main) == 0


def test_busy_answers_in_a_row_keep_everybody_out_for_as_long_as_the_provider_asks() -> None:
    async def main() -> list[float]:
        limiter = Limiter(8, clock=clock)
        for place in [await limiter.acquire(), await limiter.acquire()]:
            place.release(busy=True, pause=30)
        return await asyncio.gather(*(one_call(limiter) for _ in range(4)))

    assert in_virtual_time(main) == [30] * 4


def test_requests_per_minute_are_kept_after_a_first_burst() -> None:
    async def main() -> list[float]:
        limiter = Limiter(100, requests_per_minute=60, clock=clock)
        return await asyncio.gather(*(one_call(limiter) for _ in range(40)))

    began = in_virtual_time(main)
    assert began[:10] == [0] * 10  # ten seconds' worth at once
    assert began[10:] == pytest.approx(list(range(1, 31)))


def test_tokens_per_minute_are_kept_even_by_calls_larger_than_the_burst() -> None:
    async def main() -> list[float]:
        limiter = Limiter(100, tokens_per_minute=6000, clock=clock)
        began = []
        for _ in range(3):
            place = await limiter.acquire(2000)
            began.append(clock())
            place.release()
        return began

    # A hundred a second and a thousand at once: 2000 must each wait until all is there again.
    assert in_virtual_time(main) == pytest.approx([0, 20, 40])


def test_tokens_that_a_call_did_not_use_are_given_back() -> None:
    async def main() -> float:
        limiter = Limiter(100, tokens_per_minute=6000, clock=clock)
        (await limiter.acquire(1000)).release()
        limiter.correct(-1000)
        await limiter.acquire(1000)
        return clock()

    assert in_virtual_time(main) == 0


def test_calls_are_let_in_as_they_came() -> None:
    async def main() -> list[int]:
        limiter, order = Limiter(1, clock=clock), []

        async def numbered(number: int) -> None:
            await one_call(limiter)
            order.append(number)

        await asyncio.gather(*map(numbered, range(6)))
        return order

    assert in_virtual_time(main) == list(range(6))


def test_a_caller_who_gives_up_waiting_takes_nobodys_place() -> None:
    async def main() -> float:
        limiter = Limiter(1, clock=clock)
        running = asyncio.ensure_future(one_call(limiter))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one_call(limiter), 0.5)
        await running
        return await one_call(limiter)

    assert in_virtual_time(main) == 1


def test_a_share_of_the_limits_holds_at_once_and_may_grow_again() -> None:
    async def main() -> None:
        limiter = Limiter(8, requests_per_minute=600, clock=clock)
        limiter.keep_to(0.25)
        assert (limiter.ceiling, limiter.window) == (2, 2)
        # A burst of 25, then two and a half a second.
        began = [await one_call(limiter, seconds=0) for _ in range(30)]
        assert began[24] == 0
        assert began[29] == pytest.approx(2)
        limiter.keep_to(1.0)
        assert (limiter.ceiling, limiter.window) == (8, 2)
        for _ in range(10 * RECOVERY):
            await one_call(limiter, seconds=0)
        assert limiter.window == 8

    in_virtual_time(main)


def test_the_smallest_share_is_one_call_at_once() -> None:
    limiter = Limiter(4)
    limiter.keep_to(0.01)
    assert limiter.ceiling == 1


def test_calls_in_flight_are_not_disturbed_by_a_smaller_share() -> None:
    async def main() -> list[float]:
        limiter = Limiter(4, clock=clock)
        calls = [asyncio.create_task(one_call(limiter)) for _ in range(6)]
        await asyncio.sleep(0.5)
        limiter.keep_to(0.5)
        return await asyncio.gather(*calls)

    assert in_virtual_time(main) == [0, 0, 0, 0, 1, 1]
