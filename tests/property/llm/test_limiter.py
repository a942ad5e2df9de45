"""The limiter in virtual time: calls at once, calls a minute, and a provider that is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.llm.rate_limit import Limiter
from tests.unit.virtual_time import clock, in_virtual_time


@settings(max_examples=60)
@given(
    ceiling=st.integers(1, 12),
    calls=st.lists(
        st.tuples(st.floats(0.01, 3), st.booleans(), st.floats(0, 5)), min_size=1, max_size=40
    ),
)
def test_whatever_happens_everybody_gets_through_and_never_too_many(
    ceiling: int, calls: Sequence[tuple[float, bool, float]]
) -> None:
    async def main() -> None:
        limiter = Limiter(ceiling, clock=clock)
        inside = 0

        async def one(seconds: float, busy: bool, pause: float) -> None:
            nonlocal inside
            place = await limiter.acquire()
            inside += 1
            assert inside <= ceiling
            await asyncio.sleep(seconds)
            inside -= 1
            place.release(busy=busy, pause=pause)

        await asyncio.gather(*(one(*call) for call in calls))
        assert limiter.in_flight == 0
        assert 1 <= limiter.window <= ceiling

    in_virtual_time(main)
