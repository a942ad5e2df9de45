"""A candidate whose output has other fields than the champion's: it needs a named person."""

from __future__ import annotations

import asyncio

import pytest

from prompt_hub.evaluation import inputs
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.evaluation.evaluated import Evaluated
from tests.unit.providers import ALIASES, FunctionProvider

TASK = "part-class"
METADATA = "prompts/03-metadata/part-class.yaml"
TEMPLATE = "prompts/00-templates/part-class.yaml"
EXAMPLES = "prompts/01-examples/part-class.jsonl"


def evaluate(folder: RepositoryFolder, provider: FunctionProvider) -> EvaluationRecord:
    evaluator = Evaluator(
        folder.repository,
        ModelClient(ALIASES, provider),
        FolderResults(folder.root / "results"),
        execution="e1",
        commit=COMMIT,
        say=lambda line: None,
    )
    return asyncio.run(evaluator.evaluate(TASK))


def kind(messages: list[dict[str, str]]) -> JsonObject:
    """Answer rightly under the new name; a resistor is wrong."""
    right = catalogue_answer(messages)["part_class"]
    return {"kind": "diode" if right == "resistor" else right}


def test_a_candidate_that_renames_a_field_of_the_output_needs_a_named_person(
    healthy: RepositoryFolder,
) -> None:
    """The champion is right on all examples: by the new name it would lose each of them."""
    healthy.rename_field("part_class", "kind")
    healthy.stamp(TASK)
    assert healthy.findings(TASK) == []

    provider = FunctionProvider(kind)
    record = evaluate(healthy, provider)
    assert record.verdict.status is Status.INCONCLUSIVE
    assert record.verdict.reasons[0] == (
        "1.2.0 cannot be compared with the champion on these examples: the output of part-class"
        " 1.1.0 does not suit the scorers (found 'kind'; expected a property of the output:"
        " part_class); a named override promotes it all the same"
    )
    assert (record.candidate is not None, record.champion, provider.calls) == (True, None, 6)

    person = "override: {person: ann, reason: callers read the new name, version: 1.2.0}\n"
    healthy.write(METADATA, healthy.read(METADATA) + person)
    assert evaluate(healthy, FunctionProvider(kind)).verdict.promotes
    healthy.promote(TASK, answer=kind)


def test_a_field_that_is_added_to_the_output_is_compared_until_a_scorer_looks_at_it(
    healthy: RepositoryFolder,
) -> None:
    def with_pins(messages: list[dict[str, str]]) -> JsonObject:
        sorts = "You sort" in messages[0]["content"]
        return {**catalogue_answer(messages), **({"pins": 2} if sorts else {})}

    classes = "part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}"
    healthy.edit(TEMPLATE, classes, f"{classes}\n    pins: {{type: integer}}")
    healthy.edit(TEMPLATE, "required: [part_class]", "required: [part_class, pins]")
    examples = healthy.read(EXAMPLES).replace('"expected": {', '"expected": {"pins": 2, ')
    healthy.write(EXAMPLES, examples)
    healthy.stamp(TASK)
    record = evaluate(healthy, FunctionProvider(with_pins))
    assert (record.verdict.status, record.champion and record.champion.score) == (Status.PASS, 1.0)

    healthy.edit(METADATA, "{part_class: 1.0}", "{part_class: 1.0, pins: 1.0}")
    record = evaluate(healthy, FunctionProvider(with_pins))
    assert (record.verdict.status, record.champion) == (Status.INCONCLUSIVE, None)


def test_a_verdict_from_before_the_rule_is_not_remembered(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who upgrades with an open change promotes what is held back today."""
    healthy.rename_field("part_class", "kind")
    healthy.stamp(TASK)

    def right(messages: list[dict[str, str]]) -> JsonObject:
        return {"kind": catalogue_answer(messages)["part_class"]}

    with monkeypatch.context() as patch:
        patch.setattr(inputs, "unscorable_reason", lambda *_: None)
        assert evaluate(healthy, FunctionProvider(right)).verdict.status is Status.PASS
    now = evaluate(healthy, FunctionProvider(right))
    assert (now.verdict.status, now.champion) == (Status.INCONCLUSIVE, None)
    # What is made of it today is remembered like any other.
    assert evaluate(healthy, provider := FunctionProvider(right)).verdict == now.verdict
    assert provider.calls == 0


@pytest.mark.parametrize("as_before", [True, False])
def test_a_record_of_other_outputs_is_made_again_as_it_was_measured(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, *, as_before: bool
) -> None:
    """Once, the champion was asked: such a record is sealed, and its champion lost."""
    healthy.rename_field("part_class", "kind")
    with monkeypatch.context() as patch:
        if as_before:
            patch.setattr(inputs, "unscorable_reason", lambda *_: None)
        evaluated = Evaluated(healthy, kind)
    assert (evaluated.record.champion is not None) is as_before
    assert evaluated.replayed().to_json() == evaluated.record.to_json()
