"""The order of keys is part of what is sent, and so of every hash that something is found by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
import yaml

from prompt_hub.core.hashing import order_of, sha256_of
from prompt_hub.evaluation.cache import ResponseStore, cache_context
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.promotion import transitions
from prompt_hub.repository.schema import FewShot, JsonObject, Prompt, Shot
from prompt_hub.repository.transaction import apply
from tests.unit.building import COMMIT, MADE_AT, RepositoryFolder, catalogue_answer
from tests.unit.providers import ALIASES, FunctionProvider

TEMPLATE = "prompts/00-templates/part-class.yaml"
PRODUCTION = "prompts/02-production/part-class.yaml"
MODEL = ModelConfig(alias="catalogue-pinned", provider="openai", model="m")


def turned(value: JsonObject) -> JsonObject:
    return dict(reversed(value.items()))


def two_fields(prompt: Prompt, names: tuple[str, str]) -> Prompt:
    fields: JsonObject = {name: {"type": "string"} for name in names}
    return prompt.model_copy(update={"output": {"type": "object", "properties": fields}})


def with_shot(prompt: Prompt, fields: JsonObject, expected: JsonObject) -> Prompt:
    shots = FewShot(count=1, examples=(Shot(input=fields, expected=expected),))
    return prompt.model_copy(update={"few_shot": shots})


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


SENT: dict[str, Callable[[Prompt, bool], Prompt]] = {
    "properties": lambda p, t: two_fields(p, ("value", "unit") if t else ("unit", "value")),
    "keywords": lambda p, t: p.model_copy(update={"output": turned(p.output) if t else p.output}),
    "answers of shots": lambda p, t: with_shot(
        p, {}, {"value": 1, "unit": "V"} if t else {"unit": "V", "value": 1}
    ),
    "objects in fields of shots": lambda p, t: with_shot(
        p, {"size": {"y": 1, "x": 2} if t else {"x": 2, "y": 1}}, {}
    ),
}


@pytest.mark.parametrize("form", SENT.values(), ids=SENT)
def test_what_reaches_the_model_in_another_order_is_another_prompt(
    prompt: Prompt, form: Callable[[Prompt, bool], Prompt]
) -> None:
    usual, other = form(prompt, False), form(prompt, True)
    assert usual == other
    assert usual.sha256 != other.sha256


def test_an_order_that_nobody_sees_is_none(prompt: Prompt) -> None:
    turned_input = prompt.model_copy(update={"input": turned(prompt.input)})
    assert turned_input.sha256 == prompt.sha256
    fields: JsonObject = {"title": "Resistor", "part_number": "R1"}
    assert with_shot(prompt, fields, {}).sha256 == with_shot(prompt, turned(fields), {}).sha256


def test_the_usual_order_keeps_the_hash_that_it_always_had(prompt: Prompt) -> None:
    content = prompt.model_dump(
        mode="json",
        by_alias=True,
        exclude={"version", "description", "lock"},
        exclude_none=True,
    )
    assert prompt.sha256 == sha256_of(content)
    assert (
        order_of({"type": "object", "required": [], "a": {"x": 1, "y": [{"b": 1, "c": 2}]}}) is None
    )
    assert order_of({"a": [{"c": 1, "b": 2}]}) == '{"a":[{"c":1,"b":2}]}'


def test_answers_are_stored_apart(prompt: Prompt) -> None:
    usual, other = SENT["properties"](prompt, False), SENT["properties"](prompt, True)
    assert sha256_of(cache_context(usual, MODEL)) != sha256_of(cache_context(other, MODEL))
    assert "in_order" not in cache_context(usual, MODEL)


def evaluate(
    folder: RepositoryFolder, model: FunctionProvider, aliases: ModelAliases = ALIASES
) -> EvaluationRecord:
    async def once() -> EvaluationRecord:
        store = ResponseStore(folder.root / ".prompt-hub" / "responses")
        evaluator = Evaluator(
            folder.repository,
            ModelClient(aliases, model),
            FolderResults(folder.root / ".prompt-hub" / "results"),
            execution="e1",
            commit=COMMIT,
            store=store,
            say=lambda line: None,
        )
        try:
            return await evaluator.evaluate("part-class")
        finally:
            store.close()

    return asyncio.run(once())


def turn_output(folder: RepositoryFolder, file: str) -> None:
    data = yaml.safe_load(folder.read(file))
    data["output"] = turned(data["output"])
    folder.write(file, yaml.dump(data, sort_keys=False))


def test_a_prompt_in_another_order_was_not_judged_before(healthy: RepositoryFolder) -> None:
    first, again = FunctionProvider(catalogue_answer), FunctionProvider(catalogue_answer)
    before = evaluate(healthy, first)
    assert not before.remembered
    usual = healthy.read(TEMPLATE)
    turn_output(healthy, TEMPLATE)
    after = evaluate(healthy, again)
    assert not after.remembered
    assert after.candidate is not None
    assert again.calls == after.candidate.n > 0
    assert after.digest != before.digest
    healthy.write(TEMPLATE, usual)
    assert evaluate(healthy, FunctionProvider(catalogue_answer)).remembered


def test_examples_in_another_order_were_not_judged_before(healthy: RepositoryFolder) -> None:
    inputs = Inputs.of(healthy.repository, "part-class")
    other = tuple(
        example.model_copy(update={"input": turned(example.input)}) for example in inputs.examples
    )
    changed = Inputs.for_prompts(
        healthy.repository, inputs.metadata, other, inputs.candidate, inputs.champion
    )
    assert changed.examples_sha256 == inputs.examples_sha256
    assert changed.digest(lambda _: "m") != inputs.digest(lambda _: "m")


def test_a_lock_breaks_where_keys_are_moved_by_hand(healthy: RepositoryFolder) -> None:
    healthy.bump("part-class", "1.2.0", "1.3.0")
    healthy.promote("part-class")
    assert "in_order: true" in healthy.read(PRODUCTION)
    assert healthy.findings() == []
    turn_output(healthy, PRODUCTION)
    assert "lock" in healthy.rules_broken()


@pytest.fixture
def released_before(healthy: RepositoryFolder) -> RepositoryFolder:
    """A version in an unusual order that was promoted before order counted, and its candidate."""
    healthy.bump("part-class", "1.2.0", "1.3.0")
    healthy.promote("part-class")
    healthy.write(PRODUCTION, healthy.read(PRODUCTION).replace("  in_order: true\n", ""))
    for file in (PRODUCTION, TEMPLATE):
        turn_output(healthy, file)
    return healthy


def test_a_version_of_before_keeps_its_hash_everywhere(released_before: RepositoryFolder) -> None:
    assert released_before.findings() == []
    champion = released_before.repository.production("part-class")
    assert champion is not None
    assert champion.lock is not None
    assert champion.sha256 == champion.lock.sha256 != champion.content_sha256
    record = evaluate(released_before, FunctionProvider(catalogue_answer))
    assert record.verdict.status is Status.UNCHANGED
    assert record.champion_sha256 == champion.sha256


def test_a_version_of_before_is_requalified_and_followed(
    released_before: RepositoryFolder,
) -> None:
    folder = released_before
    elsewhere = ModelAliases({"catalogue-pinned": MODEL})
    record = evaluate(folder, FunctionProvider(catalogue_answer), elsewhere)
    assert record.verdict.status is Status.PASS
    details = folder.read(".prompt-hub/results/evaluations/e1/part-class.jsonl")
    at = MADE_AT + timedelta(days=1)
    apply(folder.root, transitions.promote(folder.repository, record, details, at))
    assert folder.findings() == []
    folder.bump("part-class", "1.3.0", "1.4.0")
    folder.promote("part-class")
    assert folder.findings() == []
    follower = folder.repository.production("part-class")
    assert follower is not None
    assert follower.lock is not None
    assert follower.lock.in_order
    assert follower.lock.sha256 == follower.content_sha256


def test_moving_keys_takes_another_version(released_before: RepositoryFolder) -> None:
    turn_output(released_before, TEMPLATE)
    assert "version-moves" in released_before.rules_broken()
