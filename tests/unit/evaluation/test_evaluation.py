"""An evaluation of a task: what it records, what it remembers, what it never calls a score."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.record import EvaluationRecord, parse_record
from prompt_hub.evaluation.results import FolderResults, OverlaidResults, Results
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig, Price
from prompt_hub.promotion import transitions
from prompt_hub.repository.rendering import RenderError
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from tests.unit.building import (
    COMMIT,
    RepositoryFolder,
    catalogue_answer,
)
from tests.unit.providers import ALIASES, FunctionProvider

TASK = "part-class"
METADATA = "prompts/03-metadata/part-class.yaml"
TEMPLATE = "prompts/00-templates/part-class.yaml"


@pytest.fixture
def results(tmp_path: Path) -> FolderResults:
    return FolderResults(tmp_path / "results")


def evaluate(
    folder: RepositoryFolder,
    results: Results,
    provider: FunctionProvider,
    execution: str = "e1",
    task: str = TASK,
    say: Callable[[str], None] = lambda line: None,
    store: ResponseStore | None = None,
    aliases: ModelAliases = ALIASES,
) -> EvaluationRecord:
    evaluator = Evaluator(
        folder.repository,
        ModelClient(aliases, provider),
        results,
        execution=execution,
        commit=COMMIT,
        store=store,
        say=say,
    )
    return asyncio.run(evaluator.evaluate(task))


def priced(usd: float) -> ModelAliases:
    """Return the aliases with a price per million tokens."""
    price = Price(input=usd, output=usd)
    return ModelAliases(
        {
            alias: ModelConfig(alias=alias, provider="openai", model=alias, price_per_million=price)
            for alias in ("catalogue-pinned", "catalogue-latest")
        }
    )


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
    stored = results.get(aws_names.evaluation_key("e1", TASK))
    assert stored is not None
    assert parse_record(stored, "a record") == record
    details = results.get(aws_names.evaluation_details_key("e1", TASK))
    assert details is not None
    assert len(details.splitlines()) == 12


def test_a_candidate_that_renames_a_field_is_measured_and_needs_a_named_person(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    healthy.rename_field("title", "name")
    healthy.stamp(TASK)
    assert healthy.findings(TASK) == []

    record = evaluate(healthy, results, FunctionProvider(catalogue_answer))
    assert record.verdict.status is Status.INCONCLUSIVE
    assert record.verdict.reasons[0] == (
        "1.2.0 cannot be compared with the champion on these examples: the input of part-class"
        ' 1.1.0 does not take them ("title" is a required property); a named override promotes it'
        " all the same"
    )
    assert (record.candidate and record.candidate.score, record.champion) == (1.0, None)

    person = "override: {person: ann, reason: callers send the new name, version: 1.2.0}\n"
    healthy.write(METADATA, healthy.read(METADATA) + person)
    assert evaluate(healthy, results, FunctionProvider(catalogue_answer)).verdict.promotes


def test_a_candidate_that_adds_a_field_breaks_the_champions_callers_and_needs_a_named_person(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    text = "title: {type: string}"
    healthy.edit(TEMPLATE, text, f"{text}\n    series: {{type: string}}")
    examples = "prompts/01-examples/part-class.jsonl"
    healthy.write(examples, healthy.read(examples).replace('"title":', '"series": "E96", "title":'))
    record = evaluate(healthy, results, FunctionProvider(catalogue_answer))
    assert record.verdict.status is Status.INCONCLUSIVE
    assert "does not take them" in record.verdict.reasons[0]


def test_a_verdict_is_remembered_from_results_that_may_only_be_read(
    healthy: RepositoryFolder, results: FolderResults, tmp_path: Path
) -> None:
    first = evaluate(healthy, results, FunctionProvider(catalogue_answer))
    kept = sorted(path for path in (tmp_path / "results").rglob("*"))
    own = FolderResults(tmp_path / "own")
    nobody = FunctionProvider(always_resistor)
    record = evaluate(healthy, OverlaidResults(results, own), nobody, execution="e2")
    assert (record.remembered, record.verdict, nobody.calls) == (True, first.verdict, 0)
    assert own.get(aws_names.evaluation_key("e2", TASK)) == record.to_json()
    assert own.get(aws_names.evaluation_details_key("e2", TASK)) == results.get(
        aws_names.evaluation_details_key("e1", TASK)
    )
    assert sorted(path for path in (tmp_path / "results").rglob("*")) == kept


def test_a_candidate_that_renames_a_field_and_is_bad_is_blocked(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    healthy.rename_field("title", "name")
    record = evaluate(healthy, results, FunctionProvider(always_resistor))
    assert record.verdict.status is Status.BLOCK
    assert record.verdict.reasons[1] == "no other released version was measured beside it"


def test_a_candidate_that_cannot_be_rendered_is_named(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    healthy.edit(TEMPLATE, "{{ title }}", "{{ name }}")
    with pytest.raises(RenderError, match=r"part-class 1\.2\.0 cannot be rendered: 'name'"):
        evaluate(healthy, results, FunctionProvider(catalogue_answer))


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
    assert results.get(aws_names.evaluation_details_key("e2", TASK)) is not None


@pytest.mark.parametrize("damage", [b"\xff", b'{"schema": "prompt-hub/eval', b"{}", None])
@pytest.mark.parametrize("key", [aws_names.verdict_key, aws_names.verdict_details_key])
def test_a_memory_that_cannot_be_read_is_said_and_made_again(
    healthy: RepositoryFolder,
    results: FolderResults,
    tmp_path: Path,
    key: Callable[[str], str],
    damage: bytes | None,
) -> None:
    digest = evaluate(healthy, results, FunctionProvider(catalogue_answer)).digest
    memory = tmp_path / "results" / key(digest)
    memory.write_bytes(damage) if damage is not None else memory.unlink()
    lines: list[str] = []
    again = FunctionProvider(catalogue_answer)
    assert not evaluate(healthy, results, again, execution="e2", say=lines.append).remembered
    assert len(again.asked) == 12
    forgotten = damage is None and key is aws_names.verdict_key
    assert forgotten or "the remembered verdict is not used: verdicts/" in lines[0]
    assert evaluate(healthy, results, again, execution="e3").remembered
    assert len(again.asked) == 12


def test_answers_of_another_measurement_are_not_remembered_with_a_verdict(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    digest = evaluate(healthy, results, FunctionProvider(catalogue_answer)).digest
    key = aws_names.verdict_details_key(digest)
    answers = results.get(key)
    assert answers is not None
    results.put(key, re.sub(r'"tokens":\s*\[\d+', '"tokens":[99', answers))
    lines: list[str] = []
    again = FunctionProvider(catalogue_answer)
    assert not evaluate(healthy, results, again, say=lines.append).remembered
    assert lines[0].endswith("not used: its answers are those of another measurement")
    assert evaluate(healthy, results, again).remembered


def test_cache_files_are_given_back_once_a_task_is_judged(
    healthy: RepositoryFolder, results: FolderResults, tmp_path: Path
) -> None:
    fields = "{type: json_fields, fields: {part_class: 1.0}}"
    healthy.edit(METADATA, fields, f"{fields}\n  - {{type: injection, fields: [title]}}")
    store = ResponseStore(tmp_path / "responses")
    record = evaluate(healthy, results, FunctionProvider(catalogue_answer), store=store)
    assert record.verdict.status is Status.PASS
    # Both versions, each with and without its canary.
    assert len([*(tmp_path / "responses").rglob("*.jsonl")]) == 4
    assert store.cache_files == ()


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
    assert results.get(aws_names.verdict_key(record.digest)) is None
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
        METADATA,
        "gate: {margin: 0.5, confidence: 0.9}",
        "gate: {margin: 0.5, confidence: 0.9, budget: {calls: 4}}",
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
        {"catalogue-latest": ModelConfig(alias="catalogue-latest", provider="openai", model="x")}
    )
    provider = FunctionProvider(catalogue_answer)
    evaluator = Evaluator(
        healthy.repository,
        ModelClient(elsewhere, provider),
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


def test_the_record_says_what_its_examples_could_show(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    verdict = evaluate(healthy, results, FunctionProvider(catalogue_answer)).verdict
    assert verdict.looks == 1
    assert verdict.comparison is not None
    assert verdict.comparison.n == 6
    assert verdict.comparison.low >= -0.5
    assert verdict.power is not None
    assert verdict.power.n == 6
    assert "power: with these 6 examples" in verdict.reasons[-1]


def test_an_unchanged_score_on_few_examples_is_inconclusive_and_says_how_many_would_do(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    healthy.edit(METADATA, "margin: 0.5", "margin: 0.05")
    verdict = evaluate(healthy, results, FunctionProvider(catalogue_answer)).verdict
    assert verdict.status is Status.INCONCLUSIVE
    assert not verdict.promotes
    assert any(re.match(r"label about \d+ more examples", reason) for reason in verdict.reasons)


def test_an_override_promotes_what_was_blocked_and_not_what_was_not_measured(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    healthy.write(
        METADATA,
        healthy.read(METADATA)
        + "override: {person: Ada, reason: labels are wrong here, version: 1.2.0}\n",
    )
    blocked = evaluate(healthy, results, FunctionProvider(always_resistor)).verdict
    assert (blocked.status, blocked.overridden_by) == (Status.BLOCK, "Ada")
    assert blocked.promotes
    silent = evaluate(healthy, results, FunctionProvider(lambda messages: None), execution="e2")
    assert silent.remembered
    healthy.edit("prompts/01-examples/part-class.jsonl", "Diodes Incorporated", "Diodes")
    silent = evaluate(healthy, results, FunctionProvider(lambda messages: None), execution="e3")
    assert silent.verdict.status is Status.NOT_MEASURED
    assert not silent.verdict.promotes


@pytest.mark.parametrize("limits", ["{seconds_p95: 0.000001}", "{usd_per_call: 0.000001}"])
def test_a_version_beyond_its_limits_is_blocked(
    healthy: RepositoryFolder, results: FolderResults, limits: str
) -> None:
    healthy.edit(METADATA, "threshold: 0.7", f"threshold: 0.7\nlimits: {limits}")
    record = evaluate(healthy, results, FunctionProvider(catalogue_answer), aliases=priced(1))
    assert record.verdict.status is Status.BLOCK
    assert "more than" in record.verdict.reasons[0]


@pytest.mark.parametrize(
    ("first", "then", "expected"), [(1000, 0.001, Status.PASS), (0.001, 1000, Status.BLOCK)]
)
def test_a_price_that_was_mended_decides_anew_and_asks_nobody(
    healthy: RepositoryFolder,
    results: FolderResults,
    tmp_path: Path,
    first: float,
    then: float,
    expected: Status,
) -> None:
    healthy.edit(METADATA, "threshold: 0.7", "threshold: 0.7\nlimits: {usd_per_call: 0.001}")
    store = ResponseStore(tmp_path / "responses")
    provider = FunctionProvider(catalogue_answer)

    def judged(usd: float) -> EvaluationRecord:
        return evaluate(healthy, results, provider, store=store, aliases=priced(usd))

    wrong = judged(first)
    calls = provider.calls
    mended = judged(then)
    assert wrong.verdict.status is not expected
    assert (mended.verdict.status, mended.remembered, provider.calls) == (expected, False, calls)
    assert mended.candidate is not None
    assert wrong.candidate is not None
    assert wrong.candidate.usd is not None
    assert mended.candidate.usd == pytest.approx(wrong.candidate.usd * then / first)
    assert judged(then * 1.01).remembered, "a price that decides nothing is no reason to judge anew"


@pytest.mark.parametrize(
    "change",
    [
        ("threshold: 0.7", "threshold: 0.6"),
        ("margin: 0.5", "margin: 0.6"),
        ("threshold: 0.7", "threshold: 0.7\nlimits: {seconds_p95: 30}"),
    ],
)
def test_whatever_decides_is_part_of_the_digest(
    healthy: RepositoryFolder, results: FolderResults, change: tuple[str, str]
) -> None:
    first = evaluate(healthy, results, FunctionProvider(catalogue_answer))
    healthy.edit(METADATA, *change)
    second = evaluate(healthy, results, FunctionProvider(catalogue_answer), execution="e2")
    assert not second.remembered
    assert first.digest != second.digest


def test_an_answer_that_cannot_be_used_says_why_in_the_details(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    evaluate(healthy, results, FunctionProvider(lambda messages: "certainly!"))
    details = results.get(aws_names.evaluation_details_key("e1", TASK))
    assert details is not None
    for line in map(json.loads, details.splitlines()):
        assert line["problem"].startswith("the answer is not JSON")
        assert line["score"] == 0.0


def test_no_model_is_asked_under_a_contract_that_cannot_be_used(
    healthy: RepositoryFolder, results: FolderResults
) -> None:
    text = "    part_class: {type: string, enum"
    healthy.edit(TEMPLATE, text, f"    series: {{type: string, pattern: '^(?=x)'}}\n{text}")
    model = FunctionProvider(catalogue_answer)
    reason = r"part-class 1\.2\.0: output\.properties\.series\.pattern: found '\^\(\?=x\)'"
    with pytest.raises(PromptHubError, match=reason) as refused:
        evaluate(healthy, results, model)
    assert refused.value.exit_code == ExitCode.BLOCKED
    assert model.calls == 0
