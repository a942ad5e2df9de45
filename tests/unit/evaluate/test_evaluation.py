"""An evaluation of a task: what it records, what it remembers, what it never calls a score."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_hub import names
from prompt_hub.evaluate.evaluation import Evaluator
from prompt_hub.evaluate.gate import Status
from prompt_hub.evaluate.record import EvaluationRecord
from prompt_hub.evaluate.results import FolderResults
from prompt_hub.models.aliases import ModelAliases, ResolvedModel
from prompt_hub.models.call import ModelCaller
from prompt_hub.promote import transitions
from prompt_hub.prompts.models import JsonObject
from prompt_hub.prompts.transaction import apply
from tests.unit.building import (
    COMMIT,
    RepositoryFolder,
    catalogue_answer,
)
from tests.unit.providers import ALIASES, FunctionProvider

TASK = "part-class"


@pytest.fixture
def results(tmp_path: Path) -> FolderResults:
    return FolderResults(tmp_path / "results")


def evaluate(
    folder: RepositoryFolder,
    results: FolderResults,
    provider: FunctionProvider,
    execution: str = "e1",
    task: str = TASK,
) -> EvaluationRecord:
    evaluator = Evaluator(
        folder.repository,
        ModelCaller(ALIASES, provider),
        results,
        execution=execution,
        commit=COMMIT,
        say=lambda line: None,
    )
    return asyncio.run(evaluator.evaluate(task))


def always_resistor(messages: list[dict[str, str]]) -> JsonObject:
    return {"part_class": "resistor"}


def test_candidate_and_champion_are_measured_on_the_same_examples(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    record = evaluate(healthy, results, FunctionProvider(catalogue_answer))
    assert record.verdict.status is Status.PASS
    assert record.candidate is not None
    assert record.champion is not None
    assert (record.candidate.version, record.champion.version) == ("1.2.0", "1.1.0")
    assert record.candidate.n == record.champion.n == 6
    assert record.baseline == pytest.approx(2 / 6)
    stored = results.get(names.evaluation_key("e1", TASK))
    assert stored is not None
    assert EvaluationRecord.model_validate_json(stored) == record
    details = results.get(names.evaluation_details_key("e1", TASK))
    assert details is not None
    assert len(details.splitlines()) == 12


def test_a_bad_candidate_is_blocked(healthy: RepositoryFolder, results: FolderResults) -> None:
    record = evaluate(healthy, results, FunctionProvider(always_resistor))
    assert record.verdict.status is Status.BLOCK
    assert "below the threshold" in record.verdict.reasons[0]


def test_same_inputs_are_never_paid_for_twice(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    first = evaluate(healthy, results, FunctionProvider(always_resistor))
    again = FunctionProvider(catalogue_answer)
    second = evaluate(healthy, results, again, execution="e2")
    assert again.asked == []
    assert second.remembered
    assert second.execution == "e2"
    assert second.verdict == first.verdict
    assert results.get(names.evaluation_details_key("e2", TASK)) is not None


def test_a_changed_example_is_judged_anew(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    evaluate(healthy, results, FunctionProvider(catalogue_answer))
    healthy.edit("prompts/01-examples/part-class.jsonl", "Diodes Incorporated", "Diodes Inc.")
    again = FunctionProvider(catalogue_answer)
    assert not evaluate(healthy, results, again, execution="e2").remembered
    assert len(again.asked) == 12


@pytest.mark.parametrize("answers", [0, 3, 11])
def test_an_outage_is_not_measured_and_not_remembered(
    healthy: RepositoryFolder, results: FolderResults, answers: int
) -> None:
    def failing(messages: list[dict[str, str]]) -> JsonObject | None:
        return catalogue_answer(messages) if len(provider.asked) <= answers else None

    provider = FunctionProvider(failing)
    record = evaluate(healthy, results, provider)
    assert record.verdict.status is Status.NOT_MEASURED
    assert "no connection" in record.verdict.reasons[0]
    assert results.get(names.verdict_key(record.digest)) is None
    after = evaluate(healthy, results, FunctionProvider(catalogue_answer), execution="e2")
    assert after.verdict.status is Status.PASS


def test_answers_that_break_the_contract_lose(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    record = evaluate(healthy, results, FunctionProvider(lambda messages: "certainly!"))
    assert record.verdict.status is Status.BLOCK
    assert record.candidate is not None
    assert record.candidate.score == 0.0


def test_an_exhausted_budget_is_not_measured(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    healthy.edit(
        "prompts/03-metadata/part-class.yaml",
        "gate: {margin: 0.05, confidence: 0.9}",
        "gate: {margin: 0.05, confidence: 0.9, budget: {calls: 4}}",
    )
    record = evaluate(healthy, results, FunctionProvider(catalogue_answer))
    assert record.verdict.status is Status.NOT_MEASURED
    assert "4 calls" in record.verdict.reasons[0]


def test_the_champion_itself_is_not_judged_again(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    provider = FunctionProvider(catalogue_answer)
    record = evaluate(healthy, results, provider, task="brand")
    assert record.verdict.status is Status.UNCHANGED
    assert provider.asked == []


def test_shots_are_shown_and_never_scored(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    provider = FunctionProvider(catalogue_answer)
    evaluate(healthy, results, provider)
    questions = [messages[-1]["content"] for messages in provider.asked]
    assert not any("C1206C104K5RAC" in question for question in questions)
    shown = [messages[1]["content"] for messages in provider.asked]
    assert all("C1206C104K5RAC" in shot for shot in shown)


def test_a_champion_measured_on_another_model_must_qualify_on_this_one(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    elsewhere = ModelAliases(
        {"catalogue-latest": ResolvedModel(alias="catalogue-latest", provider="openai", model="x")}
    )
    provider = FunctionProvider(catalogue_answer)
    evaluator = Evaluator(
        healthy.repository,
        ModelCaller(elsewhere, provider),
        results,
        execution="e1",
        commit=COMMIT,
        say=lambda line: None,
    )
    record = asyncio.run(evaluator.evaluate("brand"))
    assert record.verdict.status is Status.PASS
    assert record.champion is None
    assert provider.calls == 4
    changes = transitions.promote(healthy.repository, record, "", datetime.now(UTC))
    apply(healthy.root, changes)
    task = healthy.repository.registry().tasks["brand"]
    assert task.model is not None
    assert (task.released, task.model.identity) == ("1.0.0", "openai:x")
    assert healthy.findings() == []
