"""Measures one prompt version on a set of examples."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from prompt_hub.evaluate.budget import BudgetReached
from prompt_hub.evaluate.engine import Engine
from prompt_hub.evaluate.scorers import Part, combine
from prompt_hub.evaluate.scoring import Scoring
from prompt_hub.evaluate.sequential import interval
from prompt_hub.models.call import Answer, ModelUnavailable
from prompt_hub.models.parallel import in_parallel
from prompt_hub.prompts.models import Example, Metadata, Prompt

Progress = Callable[[int, int], None]
"""Called with examples done and examples in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One example: the answer and its score, or why it could not be measured.

    Of the answer only the text is kept, not the output in it. `repeat` counts from 0 how often
    the same example was asked before.
    """

    example: Example
    score: float | None
    repeat: int = 0
    parts: tuple[Part, ...] = ()
    answer: Answer | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A prompt version measured on examples.

    `score` is the weighted mean, None as soon as one example could not be measured: an outage is
    never a zero. `seconds` is wall time, `usd` None where no price is known.
    """

    score: float | None
    n: int
    confidence: float
    per_example: tuple[Result, ...]
    unmeasured: int
    tokens_in: int
    tokens_out: int
    usd: float | None
    seconds: float
    version: str = ""

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Confidence sequence of the score, each side wrong with chance 1 - `confidence`."""
        if self.score is None:
            return 0.0, 1.0
        measured = [(r.score, r.example.weight) for r in self.per_example if r.score is not None]
        scores, weights = zip(*measured, strict=True)
        return interval(scores, weights, 1 - self.confidence)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why examples could not be measured and how many, each reason once."""
        reasons = Counter(r.error for r in self.per_example if r.error)
        total = len(self.per_example)
        return tuple(
            f"{reason.rstrip('.')}: {count} of {total} examples of {self.version} are not measured"
            for reason, count in reasons.items()
        )

    @property
    def answered_by(self) -> tuple[str, ...]:
        """The models that providers say have answered."""
        names = (r.answer.answered_by for r in self.per_example if r.answer)
        return tuple(dict.fromkeys(names))


async def measure(
    prompt: Prompt,
    examples: Sequence[Example],
    metadata: Metadata,
    engine: Engine,
    *,
    judge: Prompt | None = None,
    repeat: int = 0,
    progress: Progress | None = None,
) -> Measurement:
    """Answer and score every example whose split is `eval`.

    An example that cannot be measured leaves a hole, and with it no score; the others are measured
    all the same, so that the next run pays for the holes only.

    Args:
        prompt: the whole prompt version.
        examples: the labelled examples; shots among them are left out.
        metadata: scorers.
        engine: asks the models, within the budget of this evaluation.
        judge: the pinned judge, needed where a scorer is a judge.
        repeat: how often these examples were asked before, in this evaluation.
        progress: told after every example.
    """
    chosen = [example for example in examples if example.split == "eval"]
    scoring = Scoring(metadata, prompt, judge)
    results: list[Result | None] = [None] * len(chosen)
    done = 0

    async def one(index: int) -> None:
        nonlocal done
        try:
            result = await _one(prompt, chosen[index], engine, scoring, repeat)
        except (ModelUnavailable, BudgetReached) as error:
            result = Result(example=chosen[index], score=None, repeat=repeat, error=error.message)
        results[index] = result
        done += 1
        if progress is not None:
            progress(done, len(chosen))

    started = time.perf_counter()
    await in_parallel(range(len(chosen)), one, engine.width(prompt))
    finished = tuple(result for result in results if result is not None)
    return _summary(prompt, finished, metadata, time.perf_counter() - started)


async def _one(
    prompt: Prompt, example: Example, engine: Engine, scoring: Scoring, repeat: int
) -> Result:
    answer = await engine.ask(prompt, example.input, repeat=repeat)
    # An answer that breaks the output contract was given, and is worth nothing.
    output = answer.output if answer.valid else None
    parts = await scoring.parts(output, example, answer, engine.ask, repeat=repeat)
    # The text is kept; what was read out of it has been scored, and would be most of the memory.
    kept = replace(answer, output=None)
    return Result(example=example, score=combine(parts), repeat=repeat, parts=parts, answer=kept)


def _summary(
    prompt: Prompt, results: tuple[Result, ...], metadata: Metadata, seconds: float
) -> Measurement:
    measured = [(r.score, r.example.weight) for r in results if r.score is not None]
    unmeasured = len(results) - len(measured)
    score = None
    if measured and not unmeasured:
        total = sum(weight for _, weight in measured)
        score = sum(value * weight for value, weight in measured) / total
    answers = [r.answer for r in results if r.answer is not None]
    costs = [answer.usd for answer in answers if answer.usd is not None]
    return Measurement(
        version=prompt.version,
        score=score,
        n=len(measured),
        confidence=metadata.gate.confidence,
        per_example=results,
        unmeasured=unmeasured,
        tokens_in=sum(answer.tokens_in for answer in answers),
        tokens_out=sum(answer.tokens_out for answer in answers),
        usd=sum(costs) if costs else None,
        seconds=seconds,
    )
