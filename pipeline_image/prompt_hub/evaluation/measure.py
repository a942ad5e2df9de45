"""Measures one prompt version on a set of examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prompt_hub.core.concurrency import map_concurrently
from prompt_hub.evaluation.answer_scoring import Scoring
from prompt_hub.evaluation.budget import BudgetReachedError
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.example_results import ExampleResult, Result
from prompt_hub.evaluation.spooled_results import room_for
from prompt_hub.evaluation.summary import MeasurementInfo
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.scoring.metadata import ScoringMetadata

Progress = Callable[[int, int], None]
"""Called with examples done and examples in all."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Results of the examples in their order; one without an answer has no score.

    What it sums up to is said by `summary.arm_of`.
    """

    details: Sequence[Result]
    info: MeasurementInfo


async def measure(
    prompt: Prompt,
    examples: Sequence[Example],
    metadata: ScoringMetadata,
    budgeted: BudgetedClient,
    *,
    judge: Prompt | None = None,
    repeat: int = 0,
    progress: Progress | None = None,
) -> Measurement:
    """Answer and score every example.

    Where one answer is missing there is no score. The other examples are measured all the same, so
    that the next run pays for the missing ones only.

    Args:
        prompt: the whole prompt version.
        examples: the labelled examples to score.
        metadata: scorers.
        budgeted: asks the models, within the budget of this evaluation.
        judge: the pinned judge, needed where a scorer is a judge.
        repeat: how often these examples were asked before, in this evaluation.
        progress: told after every example.
    """
    scoring = Scoring(metadata, prompt, judge)
    results = room_for(examples)
    answered_by: dict[str, int] = {}
    """The first example that each was asked about."""
    done = 0

    async def measure_example(index: int) -> None:
        nonlocal done
        example = examples[index]
        try:
            answer = await budgeted.ask(prompt, example.input, repeat=repeat)
            # Also of an answer that a scorer fails on: the model is not what is at fault.
            model = answer.response.model
            answered_by[model] = min(index, answered_by.get(model, index))
            parts = await scoring.parts(answer, example, budgeted.ask, repeat=repeat)
        except (ModelUnavailableError, BudgetReachedError) as error:
            result = ExampleResult(id=example.id, score=None, repeat=repeat, error=error.message)
        else:
            result = ExampleResult.of(example.id, repeat, answer, parts)
        results.add(index, result)
        done += 1
        if progress is not None:
            progress(done, len(examples))

    started = time.perf_counter()
    await map_concurrently(range(len(examples)), measure_example, budgeted.max_concurrency(prompt))
    return Measurement(
        details=results,
        info=MeasurementInfo(
            model=budgeted.client.resolve(prompt).identity,
            answered_by=tuple(sorted(filter(None, answered_by), key=answered_by.__getitem__)),
            seconds=round(time.perf_counter() - started, 3),
        ),
    )
