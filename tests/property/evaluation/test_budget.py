"""The purse: what may be spent, what is set aside, and what in-flight calls can not overshoot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.evaluation.budget import BudgetReachedError, BudgetTracker, Cost
from prompt_hub.repository.schema import Budget
from tests.unit.evaluation.answers import call, took
from tests.unit.virtual_time import clock, in_virtual_time


@settings(max_examples=80)
@given(
    budget=st.builds(
        Budget, calls=st.integers(1, 20), tokens=st.integers(1, 800), usd=st.floats(0.01, 1)
    ),
    calls=st.lists(
        st.tuples(st.integers(1, 100), st.floats(0, 1), st.floats(0.1, 3), st.booleans()),
        max_size=40,
    ),
)
def test_calls_in_flight_never_overshoot_together(
    budget: Budget, calls: Sequence[tuple[int, float, float, bool]]
) -> None:
    async def main() -> None:
        tracker = BudgetTracker(budget, clock)

        async def one(tokens: int, share: float, seconds: float, answered: bool) -> None:
            most = Cost(tokens=tokens, usd=tokens / 1000)
            used = int(tokens * share)
            try:
                await call(
                    tracker, most, took(used, usd=used / 1000) if answered else None, seconds
                )
            except BudgetReachedError:
                return

        await asyncio.gather(*(one(*each) for each in calls))
        assert tracker.calls <= budget.calls
        assert tracker.tokens <= budget.tokens
        assert tracker.usd <= budget.usd + 1e-9

    in_virtual_time(main)
