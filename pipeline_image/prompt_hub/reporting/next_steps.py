"""What a person looks at after an evaluation: the worst losses, and the commands that lead on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from prompt_hub.core.foreign_text import one_line
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.gate.types import Status
from prompt_hub.reporting.evaluation import ExampleView
from prompt_hub.reporting.words import LONGEST_LINE, score, short_of_full

SHOWN = 5
"""Losses that are told; the report has all."""
MOST_EXAMPLES = 5_000
"""Of a larger evaluation the losses are not told: to find the worst, all its answers are read."""


def losses(worst: Sequence[ExampleView]) -> Iterator[str]:
    """Yield the worst answers of a candidate, each with what was asked, expected and answered."""
    if worst:
        yield f"  the worst of {short_of_full(len(worst))}:"
    for example in worst[:SHOWN]:
        yield from _loss(example)


def next_steps(
    record: EvaluationRecord, *, changed: str | None = None, blocker: str | None = None
) -> Iterator[str]:
    """Yield the commands that lead on from a verdict.

    `changed` names what is no longer as it was judged. `blocker` says why promotion leaves the
    candidate alone, whatever its verdict.
    """
    task = record.task
    if record.candidate is not None:
        yield f"  every example: prompt-hub report evaluation {task} --html {task}.html"
    if changed is not None:
        yield (
            f"  the {changed} changed while this was measured: run prompt-hub evaluate {task} again"
        )
    elif blocker is not None:
        yield f"  no push releases it: {blocker}"
    elif record.verdict.promotes:
        yield "  to release it: prompt-hub validate, commit and push; the pipeline does the rest"
    elif record.verdict.status is Status.INCONCLUSIVE:
        if record.champion is None:
            # What is released has another input or output: no example compares the two.
            yield "  ways out: keep the released input and output, or release it by name and push:"
        else:
            yield (
                "  ways out: label more examples, or state a wider gate.margin in"
                f" prompts/03-metadata/{task}.yaml, or release it by name and push:"
            )
        yield (
            f'    prompt-hub promote override {task} --person "YOUR NAME"'
            ' --reason "WHY, in 10 characters or more"'
        )


def _loss(example: ExampleView) -> Iterator[str]:
    candidate = example.candidate
    if candidate is None:
        return
    other = None if example.champion is None else example.champion.score
    before = "" if example.champion is None else f", champion {score(other, candidate.score)}"
    yield f"    {one_line(example.id)}  {score(candidate.score, other)}{before}"
    known = example.example
    if known is not None:
        yield f"      input     {_line(json.dumps(known.input, ensure_ascii=False))}"
        yield f"      expected  {_line(json.dumps(known.expected, ensure_ascii=False))}"
    if call := candidate.worst:
        yield f"      answer    {_line(call.answer or 'none')}"
        if call.problem:
            yield f"      problem   {_line(call.problem)}"


def _line(text: str) -> str:
    return one_line(text, LONGEST_LINE)
