"""Answers that a content filter stops, and outages inside HTTP 200, in an evaluation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_hub.cli.evaluate import in_words
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.cache import ResponseCacheFile, ResponseStore
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.replay import replay
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import FILTERED, ModelResponse, Usage, Withheld
from prompt_hub.llm.retry import Retries
from prompt_hub.repository.schema import Gate, JsonObject
from prompt_hub.scoring.metadata import read_metadata
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.evaluation.answers import TITLE, key
from tests.unit.judging import add_judge, sensible, use_judge
from tests.unit.llm.servers import Reply, scripted
from tests.unit.providers import ALIASES, FunctionProvider

METADATA = "prompts/03-metadata/part-class.yaml"
GATE = "gate: {margin: 0.5, confidence: 0.9}"
STRICT = "gate: {margin: 0.5, confidence: 0.9, content_filter: not-measured}"


class Filtering(FunctionProvider):
    """A model behind a filter that stops every question with a word in it."""

    def __init__(self, word: str) -> None:
        super().__init__(self._catalogue)
        self._word = word

    @staticmethod
    def _catalogue(messages: list[dict[str, str]]) -> JsonObject:
        question = messages[-1]["content"]
        return sensible(question) if question.startswith("JUDGE") else catalogue_answer(messages)

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        if self._word not in messages[-1]["content"]:
            return await super().complete(model, messages, parameters, schema)
        self.asked.append(messages)
        usage = Usage(input_tokens=0, output_tokens=0)
        return ModelResponse(text="", model=model.model, withheld=FILTERED, usage=usage)


def evaluate(folder: RepositoryFolder, model: FunctionProvider) -> EvaluationRecord:
    async def once() -> EvaluationRecord:
        store = ResponseStore(folder.root / ".prompt-hub" / "responses")
        evaluator = Evaluator(
            folder.repository,
            ModelClient(ALIASES, model, concurrency=1),
            FolderResults(folder.root / ".prompt-hub" / "results"),
            execution="e1",
            commit=COMMIT,
            store=store,
            fresh=True,
            say=lambda line: None,
        )
        try:
            return await evaluator.evaluate("part-class")
        finally:
            store.close()

    return asyncio.run(once())


def test_a_filtered_example_is_wrong_and_the_verdict_says_so(healthy: RepositoryFolder) -> None:
    record = evaluate(healthy, Filtering("BAT54"))
    assert record.candidate is not None
    assert record.candidate.unmeasured == 0
    assert record.candidate.score is not None
    assert record.candidate.score < 1.0
    asked = record.candidate.n
    for arm in ("candidate", "champion"):
        assert (
            f"stopped by the provider's content filter: 1 of {asked} answers of the {arm}, which"
            " count as wrong (gate.content_filter)"
        ) in record.verdict.reasons
    again = Filtering("BAT54")
    assert evaluate(healthy, again).verdict.reasons == record.verdict.reasons
    assert again.calls == 0
    results = FolderResults(healthy.root / ".prompt-hub" / "results")
    stored = evaluation_by(results, "e1", "part-class")
    assert stored is not None
    assert replay(healthy.repository, stored).record == stored.record


def test_by_the_setting_it_is_not_measured_and_asked_for_each_time(
    healthy: RepositoryFolder,
) -> None:
    evaluate(healthy, Filtering("BAT54"))
    healthy.edit(METADATA, GATE, STRICT)
    for _ in range(2):
        model = Filtering("BAT54")
        record = evaluate(healthy, model)
        assert record.verdict.status is Status.NOT_MEASURED
        assert (
            "stopped by the provider's content filter, which counts as not measured"
            " (gate.content_filter): 1 of"
        ) in "; ".join(record.verdict.reasons)
        assert model.calls == 2
    model = Filtering("no such word")
    assert evaluate(healthy, model).verdict.status is Status.PASS
    assert model.calls == 2


def test_many_filtered_examples_do_not_mean_that_the_model_is_gone(
    healthy: RepositoryFolder,
) -> None:
    healthy.edit(METADATA, GATE, STRICT)
    model = Filtering("Part number")
    record = evaluate(healthy, model)
    assert record.verdict.status is Status.NOT_MEASURED
    assert record.candidate is not None
    assert model.calls == 2 * record.candidate.unmeasured


def test_a_filtered_judge_counts_as_the_worst_grade(healthy: RepositoryFolder) -> None:
    add_judge(healthy)
    use_judge(healthy)
    record = evaluate(healthy, Filtering('expected {"part_class": "diode"}'))
    assert record.verdict.status is not Status.NOT_MEASURED
    assert "stopped by the provider's content filter: " in record.verdict.reasons[-1]


def test_the_default_leaves_the_hash_of_metadata_as_it_was(healthy: RepositoryFolder) -> None:
    before = read_metadata(healthy.repository, "part-class")
    assert "content_filter" not in before.model_dump(mode="json")["gate"]
    healthy.edit(METADATA, GATE, GATE.replace("}", ", content_filter: wrong}"))
    assert read_metadata(healthy.repository, "part-class").sha256 == before.sha256
    strict = before.model_copy(update={"gate": Gate(content_filter="not-measured")})
    assert strict.sha256 != before.model_copy(update={"gate": Gate()}).sha256


def test_why_there_is_no_answer_is_stored_with_it(tmp_path: Path) -> None:
    usage = Usage(input_tokens=1, output_tokens=0)
    cache_file = ResponseCacheFile(tmp_path / "a.jsonl", TITLE)
    for number, withheld in enumerate((FILTERED, Withheld("the model refused: no"))):
        response = ModelResponse(text="", model="m", withheld=withheld, usage=usage)
        cache_file.put(key(number), response)
        assert cache_file.get(key(number)) == response


def test_what_an_outage_inside_http_200_left_in_the_store_is_asked_for_again(
    tmp_path: Path,
) -> None:
    cache_file = ResponseCacheFile(tmp_path / "a.jsonl", TITLE)
    nothing = ModelResponse(text="", model="m", usage=Usage(input_tokens=5, output_tokens=0))
    cache_file.put(key(1), nothing)
    assert cache_file.get(key(1)) is None


OUTAGE: Reply = (
    200,
    {},
    {
        "choices": [{"finish_reason": "error", "message": {"content": '{"part_cl'}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3},
    },
)
GOOD: Reply = (
    200,
    {},
    {"choices": [{"finish_reason": "stop", "message": {"content": '{"part_class": "diode"}'}}]},
)


def test_an_outage_inside_http_200_is_not_stored(healthy: RepositoryFolder, tmp_path: Path) -> None:
    prompt = healthy.repository.candidate("part-class")
    fields = {"part_number": "BAT54", "title": "Schottky diode"}
    retries = Retries(first=0.001)

    async def once(url: str) -> JsonObject | None:
        alias = {"provider": "openai", "model": "m", "base_url": f"{url}/v1"}
        aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": alias}))
        store = ResponseStore(tmp_path)
        try:
            async with ModelClient(aliases, retries=retries) as caller:
                answer = await BudgetedClient(caller, store=store).ask(prompt, fields)
        finally:
            store.close()
        return answer.output

    with scripted(*[OUTAGE] * retries.attempts, GOOD) as server:
        with pytest.raises(ModelUnavailableError, match="broken off"):
            asyncio.run(once(server.url))
        assert asyncio.run(once(server.url)) == {"part_class": "diode"}
        assert asyncio.run(once(server.url)) == {"part_class": "diode"}
        assert len(server.asked) == retries.attempts + 1


class Nameless(FunctionProvider):
    """A provider whose answers do not say which model gave them."""

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        return replace(await super().complete(model, messages, parameters, schema), model="")


def test_an_answer_without_a_model_name_is_an_answer(healthy: RepositoryFolder) -> None:
    silent = evaluate(healthy, FunctionProvider(lambda messages: None))
    assert "(no answer)" in in_words(silent)
    record = evaluate(healthy, Nameless(catalogue_answer))
    assert record.candidate is not None
    assert record.candidate.answered_by == ()
    assert "(which names no version of itself)" in in_words(record)
