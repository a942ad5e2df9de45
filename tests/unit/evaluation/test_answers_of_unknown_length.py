"""Prompts without `max_tokens`: what a budget sets aside before an answer has told its length."""

from __future__ import annotations

import asyncio
import json

import pytest

from prompt_hub.evaluation.budget import Forecast
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig, Reasoning
from prompt_hub.llm.providers.base import Adapter
from prompt_hub.llm.response import ModelResponse
from prompt_hub.llm.retry import PermanentError
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.in_batches import Run, evaluate
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.llm import batch_server as batch_servers
from tests.unit.llm.batch_server import BatchServer, batch_server

METADATA = "prompts/03-metadata/part-class.yaml"
TEMPLATE = "prompts/00-templates/part-class.yaml"
THINKING = {"reasoning": {"effort": "high", "tokens": 4000}}
DEAR = {"price_per_million": {"input": 1.0, "output": 8.0}}
LONG = 3000
ANSWER_USD = (41 * 1.0 + LONG * 8.0) / 1e6


@pytest.fixture(autouse=True)
def long_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_servers, "TOKENS", (41, LONG))


def unlimited(folder: RepositoryFolder, *, usd: float) -> RepositoryFolder:
    """Let `part-class` have 48 examples in one look, a budget, and answers of any length."""
    with_many_parts(folder, 48, first_look=48)
    folder.edit(TEMPLATE, "max_tokens: 32, ", "")
    folder.edit(METADATA, "gate: {", f"gate: {{budget: {{usd: {usd}}}, ")
    return folder


def answered(server: BatchServer) -> int:
    return sum((server.paid + server.live).values())


def spent(run: Run) -> float:
    assert run.record.candidate is not None
    return run.record.candidate.usd or 0.0


@pytest.mark.parametrize("setting", [{}, THINKING], ids=["plain", "reasoning"])
@pytest.mark.parametrize("in_batches", [False, True], ids=["live", "batch"])
def test_answers_that_come_together_keep_the_budget(
    healthy: RepositoryFolder, setting: dict[str, object], in_batches: bool
) -> None:
    usd = 12.5 * ANSWER_USD
    folder = unlimited(healthy, usd=usd)
    with batch_server() as server:
        run = evaluate(folder, server, in_batches=in_batches, **DEAR, **setting)
    assert "does not allow another call" in run.reasons
    assert spent(run) <= usd
    # And it is used up: one answer live, the others at half the price.
    assert server.live.total() == (1 if in_batches else 12)
    assert bool(server.batches) == in_batches
    assert answered(server) >= 12


def test_a_budget_that_does_is_spent_on_batches_but_for_the_first_answer(
    healthy: RepositoryFolder,
) -> None:
    folder = unlimited(healthy, usd=5)
    with batch_server() as server:
        run = evaluate(folder, server, **DEAR)
    assert set(server.paid.values()) == {1}
    assert run.record.candidate is not None
    assert (run.record.candidate.n, run.record.candidate.batched) == (48, 47)
    assert (server.live.total(), len(server.batches)) == (1, 1)


def test_a_model_that_gives_no_answer_ahead_is_asked_in_batches_all_the_same(
    healthy: RepositoryFolder,
) -> None:
    """They have a quota of their own, and more time."""
    folder = unlimited(healthy, usd=5)
    with batch_server(too_long="P", refusal=403) as server:
        run = evaluate(folder, server, **DEAR)
    assert run.record.candidate is not None
    assert (run.record.candidate.n, run.record.candidate.batched) == (48, 48)
    assert not server.live


class Away(Adapter):
    """A provider that is away; counts who asks at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._now = 0

    async def complete(self, *_: object) -> ModelResponse:
        self._now += 1
        self.asked.append(self._now)
        await asyncio.sleep(0)
        self._now -= 1
        raise PermanentError("it is away")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("asks_ahead", [True, False])
def test_an_outage_is_met_by_one_alone_and_then_by_all(
    healthy: RepositoryFolder, asks_ahead: bool
) -> None:
    healthy.edit(TEMPLATE, "max_tokens: 32, ", "")
    prompt, provider = healthy.repository.candidate("part-class"), Away()
    aliases = {prompt.model.alias: {"provider": "openai", "model": "m"}}
    client = ModelClient(ModelAliases.parse(json.dumps(aliases)), provider)
    budgeted = BudgetedClient(client, asks_ahead=asks_ahead)
    fields = {"part_number": "P1", "title": "Resistor"}

    async def ask() -> None:
        async with client:
            answers = [budgeted.ask(prompt, fields) for _ in range(4)]
            await asyncio.gather(*answers, return_exceptions=True)

    asyncio.run(ask())
    assert provider.asked == ([1, 1, 2, 3] if asks_ahead else [1, 2, 3, 4])


def test_what_a_model_may_think_is_foreseen_with_and_without_a_limit() -> None:
    thinks = ModelConfig(
        alias="a", provider="openai", model="m", reasoning=Reasoning(effort="high", tokens=4000)
    )
    assert Forecast(thinks, None).likely(400).tokens == 100 + 256 + 4000
    assert Forecast(thinks, 32).likely(400).tokens == 100 + 32 + 4000
    assert Forecast(thinks, None).at_most(400).tokens == 401 + 256 + 4000
    assert Forecast(thinks, 32).at_most(400).tokens == 401 + 32 + 4000
