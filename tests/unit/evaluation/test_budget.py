"""The purse: what may be spent, what is set aside, and what in-flight calls can not overshoot."""

from __future__ import annotations

import asyncio

import pytest

from prompt_hub.evaluation.budget import BudgetReachedError, BudgetTracker, Cost, Forecast
from prompt_hub.llm.config import ModelConfig
from prompt_hub.repository.schema import Budget
from tests.unit.evaluation.answers import call, took
from tests.unit.virtual_time import clock, in_virtual_time

PRICED = ModelConfig.model_validate(
    {
        "alias": "a",
        "provider": "openai",
        "model": "m",
        "price_per_million": {"input": 1.0, "output": 2.0},
    }
)


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (Budget(calls=3), "the budget of 3 calls is used up"),
        (Budget(tokens=300), "the budget of 300 tokens does not allow another call"),
        (Budget(usd=0.3), "the budget of 0.3 US dollars does not allow another call"),
        (Budget(seconds=3), "the budget of 3 seconds is used up"),
    ],
)
def test_each_limit_allows_three_calls_and_no_fourth(budget: Budget, says: str) -> None:
    async def main() -> None:
        tracker = BudgetTracker(budget, clock)
        most = Cost(tokens=100, usd=0.1)
        for _ in range(3):
            await call(tracker, most, took(100, usd=0.1))
        with pytest.raises(BudgetReachedError, match=says):
            await tracker.reserve(lambda: most)
        assert tracker.calls == 3

    in_virtual_time(main)


def test_a_call_that_does_not_fit_beside_others_waits_for_what_they_really_cost() -> None:
    async def main() -> float:
        tracker = BudgetTracker(Budget(tokens=250), clock)
        most = Cost(tokens=100)
        # Two fit; the third fits only when the first have turned out cheaper than feared.
        await asyncio.gather(*(call(tracker, most, took(20)) for _ in range(3)))
        assert tracker.tokens == 60
        return clock()

    assert in_virtual_time(main) == 2


def test_a_call_without_an_answer_costs_nothing() -> None:
    async def main() -> None:
        tracker = BudgetTracker(Budget(calls=1), clock)
        await call(tracker, Cost(tokens=10), None)
        await call(tracker, Cost(tokens=10), took(10))
        with pytest.raises(BudgetReachedError):
            await tracker.reserve(lambda: Cost(tokens=1))

    in_virtual_time(main)


def test_a_forecast_knows_nothing_at_first_and_learns_what_calls_cost() -> None:
    forecast = Forecast(PRICED, max_tokens=None)
    assert forecast.likely(400).tokens == 100 + 256
    # A prompt of part numbers may have a token a character.
    assert forecast.at_most(400).tokens == 401 + 256
    forecast.learn(400, took(200, 10))
    forecast.learn(400, took(100, 30))
    assert forecast.likely(800, calls=2) == Cost(
        tokens=300 + 40, usd=pytest.approx(300 / 1e6 + 2 * 40 / 1e6)
    )
    # At most: as dense as the densest so far.
    assert forecast.at_most(400).tokens == 201 + 256


def test_a_forecast_trusts_the_most_tokens_that_the_prompt_allows() -> None:
    forecast = Forecast(PRICED, max_tokens=32)
    assert forecast.at_most(400).tokens == 401 + 32
    assert forecast.likely(400).tokens == 100 + 32
