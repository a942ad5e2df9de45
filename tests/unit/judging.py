"""A judge in the healthy repository: a task with examples that people graded, released."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

from pydantic import JsonValue

from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.promotion import transitions
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from tests.unit.building import COMMIT, MADE_AT, RepositoryFolder, catalogue_answer
from tests.unit.providers import FunctionProvider

TASK = "part-judge"
USER = "prompts/03-metadata/part-class.yaml"
"""Metadata of the task that uses the judge."""
TEMPLATE = f"prompts/00-templates/{TASK}.yaml"

PROMPT = """\
schema: prompt-hub/prompt@1
task: part-judge
version: 1.0.0
description: Grades an answer against the expected one.
model: {alias: catalogue-pinned, parameters: {temperature: 0.7, max_tokens: 64}}
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

METADATA = """\
schema: prompt-hub/metadata@1
task: part-judge
owner: catalogue-team
description: How well an answer names a part class.
version: 1.0.0
candidate: 00-templates/part-judge.yaml
threshold: 0.0
scorers: [{type: number, field: grade, tolerance: 1}]
"""

PAIRS = [
    ("resistor", "resistor", 5),
    ("resistor", "capacitor", 1),
    ("diode", "diode", 5),
    ("diode", "Schottky diode", 3),
    ("capacitor", "capacitor", 5),
    ("capacitor", "ceramic capacitor", 3),
    ("transistor", "diode", 1),
    ("transistor", "NPN transistor", 3),
]
"""Expected, answered, and the grade that people give."""

Grade = Callable[[str], JsonObject | str | None]
"""A judge's answer to a question."""


_GRADED = re.compile(r'expected \{"part_class": "(.*)"\} answer \{"part_class": "(.*)"\}')


def sensible_grade(question: str) -> int:
    """The grade that people would give."""
    found = _GRADED.search(question)
    assert found
    expected, answered = found.groups()
    return 5 if expected == answered else 3 if expected in answered else 1


def sensible(question: str) -> JsonObject:
    """What a judge says that agrees with people."""
    return {"grade": sensible_grade(question), "reason": "as the rubric says"}


def always_five(_: str) -> JsonObject:
    """What a judge says that likes everything."""
    return {"grade": 5}


def provider(grade: Grade) -> FunctionProvider:
    """A model that answers catalogue questions, and judges with `grade`."""

    def answer(messages: list[dict[str, str]]) -> JsonObject | str | None:
        question = messages[-1]["content"]
        return grade(question) if question.startswith("JUDGE") else catalogue_answer(messages)

    return FunctionProvider(answer)


def evaluate(
    folder: RepositoryFolder,
    model: FunctionProvider,
    task: str = "part-class",
    *,
    say: Callable[[str], None] = lambda line: None,
    store: ResponseStore | None = None,
) -> EvaluationRecord:
    """Evaluate with a scripted model."""
    evaluator = Evaluator(
        folder.repository,
        model.caller(),
        FolderResults(folder.root / ".prompt-hub" / "results"),
        execution="e1",
        commit=COMMIT,
        store=store,
        say=say,
    )
    return asyncio.run(evaluator.evaluate(task))


def add_judge(
    folder: RepositoryFolder,
    grade: Grade = sensible,
    prompt: str = PROMPT,
    as_given: Callable[[JsonObject], JsonValue] = json.dumps,
) -> None:
    """Write the judge's task and release it, calibrated with `grade` as its model.

    `as_given` makes an answer what its examples give the judge.
    """
    examples = [
        {
            "id": f"graded-{number}",
            "input": {
                "input": "{}",
                "expected": json.dumps({"part_class": expected}),
                "answer": as_given({"part_class": answered}),
            },
            "expected": {"grade": people},
        }
        for number, (expected, answered, people) in enumerate(PAIRS)
    ]
    lines = "".join(json.dumps(example) + "\n" for example in examples)
    folder.write(f"prompts/01-examples/{TASK}.jsonl", lines)
    folder.write(TEMPLATE, prompt)
    folder.write(f"prompts/03-metadata/{TASK}.yaml", METADATA)
    folder.stamp(TASK)
    record = evaluate(folder, provider(grade), TASK)
    assert record.verdict.promotes, record.verdict
    apply(folder.root, transitions.promote(folder.repository, record, "{}\n", MADE_AT))


def use_judge(folder: RepositoryFolder, settings: str = "votes: 3") -> None:
    """Let the judge alone score part classes."""
    folder.edit(USER, "{type: json_fields, fields: {part_class: 1.0}}", "{type: judge}")
    pinned = f"judge: {{task: {TASK}, version: 1.0.0, {settings}}}\n"
    folder.write(USER, folder.read(USER) + pinned)
