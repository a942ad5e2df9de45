"""An answer graded by a meta-prompt, itself a prompt with a version and a hash.

The judge's prompt takes the strings `input`, `expected` and `answer`, and answers with an integer
`grade` whose bounds its output schema states; the score is the grade's place between them.
"""

from __future__ import annotations

import json

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.engine import Ask
from prompt_hub.evaluate.scorers import Part
from prompt_hub.models.call import ModelUnavailable
from prompt_hub.prompts.documents import to_model
from prompt_hub.prompts.models import Example, JsonObject, Metadata, Prompt, Scorer
from prompt_hub.prompts.repository import PromptRepository


def judge_of(repository: PromptRepository, metadata: Metadata) -> Prompt | None:
    """The meta-prompt that grades answers of a task, None where no judge scores.

    Raises:
        PromptHubError: a judge scores, but none is named, or its file is wrong.
    """
    if metadata.judge is not None:
        return to_model(repository.document(repository.prompts / metadata.judge.prompt), Prompt)
    if any(scorer.type == "judge" for scorer in metadata.scorers):
        raise PromptHubError(
            f"03-metadata/{metadata.task}.yaml: a judge scores, but no judge is named.",
            hint="Add judge: {prompt: 00-templates/...}.",
            exit_code=ExitCode.BLOCKED,
        )
    return None


def scale(judge: Prompt) -> tuple[int, int]:
    """Lowest and highest grade; raises `PromptHubError` if the judge's output does not say."""
    properties = judge.output.get("properties")
    grade = properties.get("grade") if isinstance(properties, dict) else None
    if isinstance(grade, dict):
        low, high = grade.get("minimum"), grade.get("maximum")
        if isinstance(low, int) and isinstance(high, int) and low < high:
            return low, high
    raise PromptHubError(
        f"the judge {judge.task} must answer an integer 'grade' with minimum and maximum.",
        exit_code=ExitCode.BLOCKED,
    )


def question(example: Example, output: JsonObject) -> JsonObject:
    """The fields of the judge's prompt for one answer."""
    return {
        "input": json.dumps(example.input, ensure_ascii=False),
        "expected": json.dumps(example.expected, ensure_ascii=False),
        "answer": json.dumps(output, ensure_ascii=False),
    }


async def grade(
    judge: Prompt,
    scorer: Scorer,
    output: JsonObject | None,
    example: Example,
    ask: Ask,
) -> Part:
    """Let the judge grade one answer; raises `ModelUnavailable` if it gave no usable grade.

    A judge that breaks its own contract has measured nothing: that is an outage, not a zero.
    """
    if output is None:
        return Part("judge", 0.0, scorer.weight, "no usable output")
    low, high = scale(judge)
    verdict = await ask(judge, question(example, output))
    graded = verdict.output.get("grade") if verdict.output else None
    if not verdict.valid or not isinstance(graded, int):
        raise ModelUnavailable(f"the judge gave no usable grade: {verdict.problem}.")
    reason = verdict.output.get("reason", "") if verdict.output else ""
    loss = "" if graded == high else f"judged {graded} of {high}: {reason}".rstrip(": ")
    return Part("judge", (graded - low) / (high - low), scorer.weight, loss)
