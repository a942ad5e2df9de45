"""Answers graded by a meta-prompt: the scale, the words, and the judge that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from prompt_hub.errors import PromptHubError
from prompt_hub.evaluate.evaluation import Evaluator
from prompt_hub.evaluate.gate import Status
from prompt_hub.evaluate.record import EvaluationRecord
from prompt_hub.evaluate.results import FolderResults
from prompt_hub.prompts.models import JsonObject
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.providers import FunctionProvider

JUDGE = """\
schema: prompt-hub/prompt@1
task: judge
version: 1.0.0
description: Grades an answer against the expected one.
model: {alias: catalogue-pinned, parameters: {temperature: 0}}
input:
  type: object
  required: [input, expected, answer]
  properties: {input: {type: string}, expected: {type: string}, answer: {type: string}}
output:
  type: object
  required: [grade]
  properties: {grade: {type: integer, minimum: 1, maximum: 5}, reason: {type: string}}
messages:
  - {role: user, content: "JUDGE {{ input }} expected {{ expected }} answer {{ answer }}"}
"""


@pytest.fixture
def judged(healthy: RepositoryFolder) -> RepositoryFolder:
    """The healthy repository with a judge as its only scorer of part classes."""
    healthy.write("prompts/00-templates/judge.yaml", JUDGE)
    healthy.edit(
        "prompts/03-metadata/part-class.yaml",
        "{type: json_fields, fields: {part_class: 1.0}}",
        "{type: judge}",
    )
    metadata = "prompts/03-metadata/part-class.yaml"
    healthy.write(metadata, healthy.read(metadata) + "judge: {prompt: 00-templates/judge.yaml}\n")
    return healthy


def evaluate(
    folder: RepositoryFolder, grade: Callable[[str], JsonObject | str | None]
) -> EvaluationRecord:
    def answer(messages: list[dict[str, str]]) -> JsonObject | str | None:
        question = messages[-1]["content"]
        return grade(question) if question.startswith("JUDGE") else catalogue_answer(messages)

    evaluator = Evaluator(
        folder.repository,
        FunctionProvider(answer).caller(),
        FolderResults(folder.root / "results"),
        execution="e1",
        commit=COMMIT,
        say=lambda line: None,
    )
    return asyncio.run(evaluator.evaluate("part-class"))


def test_a_grade_is_its_place_on_the_judges_scale(judged: RepositoryFolder) -> None:
    record = evaluate(judged, lambda _: {"grade": 4, "reason": "close"})
    assert record.candidate is not None
    assert record.candidate.score == pytest.approx(0.75)
    assert record.baseline is None


def test_the_judge_sees_input_expected_and_answer(judged: RepositoryFolder) -> None:
    seen: list[str] = []

    def grade(question: str) -> JsonObject:
        seen.append(question)
        return {"grade": 5}

    assert evaluate(judged, grade).verdict.status is Status.PASS
    bat54 = next(question for question in seen if "BAT54" in question)
    assert 'expected {"part_class": "diode"}' in bat54
    assert 'answer {"part_class": "diode"}' in bat54


@pytest.mark.parametrize("answer", [None, "five out of five", {"grade": 9}, {"grade": "5"}])
def test_a_judge_that_fails_is_an_outage_and_not_a_zero(
    judged: RepositoryFolder, answer: JsonObject | str | None
) -> None:
    record = evaluate(judged, lambda _: answer)
    assert record.verdict.status is Status.NOT_MEASURED
    assert record.candidate is not None
    assert record.candidate.score is None


def test_a_judge_without_a_scale_is_refused(judged: RepositoryFolder) -> None:
    judged.edit("prompts/00-templates/judge.yaml", ", minimum: 1, maximum: 5", "")
    with pytest.raises(PromptHubError, match="minimum and maximum"):
        evaluate(judged, lambda _: {"grade": 5})
