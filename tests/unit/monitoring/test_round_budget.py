"""A round of the score watch that its budget will not do for is not paid to the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest

from prompt_hub.evaluation.budget import BudgetTracker
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig, Price
from prompt_hub.llm.response import ModelResponse, Usage
from prompt_hub.monitoring.monitor import MonitorRun, NotMeasuredError, ScoreMonitor
from prompt_hub.monitoring.round_cost import SHOWN_BY, RoundCost
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import Budget, JsonObject
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.providers import ALIASES, FunctionProvider

METADATA = "prompts/03-metadata/part-class.yaml"
EXAMPLES = 600
TOKENS = 12 * EXAMPLES
"""What a round takes of this provider, whose calls take 12 each."""
PRICED = ModelAliases(
    {
        model.alias: model.model_copy(update={"price_per_million": Price(input=1.0, output=1.0)})
        for model in ALIASES
    }
)


class GrowingCheaper(FunctionProvider):
    """Takes twice as many tokens for the first half of the file."""

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        response = await super().complete(model, messages, parameters, schema)
        twice = Usage(input_tokens=20, output_tokens=4)
        return replace(response, usage=twice) if "LONG" in messages[-1]["content"] else response


@pytest.fixture
def many(healthy: RepositoryFolder) -> RepositoryFolder:
    """A task of 600 scored examples."""
    file = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in healthy.read(file).splitlines()]
    lines += [
        {**line, "id": f"{line['id']}-{more}"}
        for line in lines
        if line["split"] == "eval"
        for more in range(EXAMPLES // 6 - 1)
    ]
    healthy.write(file, "".join(json.dumps(line) + "\n" for line in lines))
    return healthy


def measured(
    folder: RepositoryFolder, budget: str, provider: type[FunctionProvider] = FunctionProvider
) -> tuple[MonitorRun | str, int]:
    """Measure within a budget; return what came of it, and how many calls it took."""
    folder.edit(METADATA, "gate: {", f"gate: {{budget: {{{budget}}}, ")
    release = load(folder.root)
    carried = release.tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(carried.reference)
    pointer = ledger.pointer("part-class")
    assert pointer is not None
    asked = provider(catalogue_answer)
    monitor = ScoreMonitor(
        folder.repository,
        release,
        ModelClient(PRICED, asked),
        "part-class",
        say=lambda _: None,
        random=Random(1),
    )
    try:
        return asyncio.run(monitor.round(pointer)), asked.calls
    except NotMeasuredError as error:
        return error.message, asked.calls


@pytest.mark.parametrize(
    ("budget", "needs"),
    [
        (f"tokens: {TOKENS - 1500}", "7,200 tokens, gate.budget.tokens allows 5,700."),
        ("usd: 0.005", "$0.0072, gate.budget.usd allows $0.005."),
    ],
)
def test_a_round_beyond_the_budget_of_tokens_or_dollars_ends_with_its_first_answers(
    many: RepositoryFolder, budget: str, needs: str
) -> None:
    found, calls = measured(many, budget)
    assert found == f"part-class 1.1.0 is asked no further: a round takes about {needs}"
    assert calls < EXAMPLES / 6


@pytest.mark.parametrize("budget", [f"tokens: {TOKENS + 1500}", "usd: 0.009"])
def test_a_round_within_the_budget_is_asked_to_its_end(many: RepositoryFolder, budget: str) -> None:
    found, calls = measured(many, budget)
    assert isinstance(found, MonitorRun)
    assert found.active.arm.n == calls == EXAMPLES


def test_attacks_in_hand_do_not_end_a_round(many: RepositoryFolder) -> None:
    """While 64 examples are in hand, they have taken more than the few that are done."""
    fields = "{type: json_fields, fields: {part_class: 1.0}}"
    many.edit(METADATA, fields, f"{fields}\n  - {{type: injection, fields: [title]}}")
    found, calls = measured(many, f"tokens: {2 * TOKENS + 1500}")
    assert isinstance(found, MonitorRun)
    assert calls == 2 * EXAMPLES


def test_long_examples_at_the_top_of_the_file_do_not_end_a_round(many: RepositoryFolder) -> None:
    file = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in many.read(file).splitlines()]
    lines.sort(key=lambda line: line["id"])
    for line in [line for line in lines if line["split"] == "eval"][: EXAMPLES // 2]:
        line["input"]["title"] += " LONG"
    lines.sort(key=lambda line: "LONG" not in line["input"]["title"])
    many.write(file, "".join(json.dumps(line) + "\n" for line in lines))
    found, calls = measured(many, f"tokens: {TOKENS * 3 // 2 + 1500}", GrowingCheaper)
    assert isinstance(found, MonitorRun), found
    assert calls == EXAMPLES


@pytest.mark.parametrize(
    ("costs", "in_hand", "tokens", "beyond"),
    [
        # 21 each and 12,600 in all; by chance, as much as they differ.
        ([24, 12, 24, 24] * 5, 0, 11_000, False),
        ([21] * 20, 0, 11_000, True),
        # Those in hand are paid for in part: 7,200 in all at least.
        ([12 + 64 * 12 // 20] * 20, 64, 7_300, False),
        ([12 + 64 * 12 // 20] * 20, 64, 7_000, True),
        ([21] * (SHOWN_BY - 1), 0, 11_000, False),
    ],
)
def test_a_round_is_beyond_its_budget_only_where_that_is_no_chance(
    costs: list[int], in_hand: int, tokens: int, beyond: bool
) -> None:
    budget = Budget(tokens=tokens)
    tracker = BudgetTracker(budget)
    cost = RoundCost(tracker, budget, in_hand=in_hand)
    for done, tokens_of_one in enumerate(costs, start=1):
        tracker.tokens += tokens_of_one
        found = cost.beyond(done, EXAMPLES)
        assert done == len(costs) or not found
    assert bool(found) is beyond
