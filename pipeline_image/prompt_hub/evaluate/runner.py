"""Measures one prompt version on a set of examples."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from prompt_hub.evaluate.scorers import Part, combine
from prompt_hub.evaluate.scoring import Scoring
from prompt_hub.evaluate.sequential import interval
from prompt_hub.models.call import Answer, ModelCaller, ModelUnavailable
from prompt_hub.prompts.models import Example, Metadata, Prompt

Progress = Callable[[int, int], None]
"""Called with examples done and examples in all."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One example: the answer and its score, or why it could not be measured.

    `repeat` counts from 0 how often the same example was asked before.
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
    interval: tuple[float, float]
    per_example: tuple[Result, ...]
    unmeasured: int
    tokens_in: int
    tokens_out: int
    usd: float | None
    seconds: float

    @property
    def scores(self) -> dict[str, float]:
        """Score by example id, of those that were measured."""
        return {r.example.id: r.score for r in self.per_example if r.score is not None}

    @property
    def problems(self) -> tuple[str, ...]:
        """Why examples could not be measured, each reason once."""
        return tuple(dict.fromkeys(r.error for r in self.per_example if r.error))

    @property
    def answered_by(self) -> tuple[str, ...]:
        """The models that providers say have answered."""
        names = (r.answer.answered_by for r in self.per_example if r.answer)
        return tuple(dict.fromkeys(names))


class _Budget:
    """Counts what is spent; says which limit is reached first."""

    def __init__(self, metadata: Metadata) -> None:
        self._limits = metadata.gate.budget
        self._started = time.monotonic()
        self._calls = 0
        self._usd = 0.0

    def take(self) -> str | None:
        """Reserve one call, or say why none is left."""
        if self._calls >= self._limits.calls:
            return f"the budget of {self._limits.calls} calls is used up"
        if self._usd >= self._limits.usd:
            return f"the budget of {self._limits.usd} US dollars is used up"
        if time.monotonic() - self._started >= self._limits.seconds:
            return f"the budget of {self._limits.seconds} seconds is used up"
        self._calls += 1
        return None

    def pay(self, usd: float | None) -> None:
        """Add what a call has cost."""
        self._usd += usd or 0.0


async def measure(
    prompt: Prompt,
    examples: Sequence[Example],
    metadata: Metadata,
    caller: ModelCaller,
    *,
    judge: Prompt | None = None,
    repeat: int = 0,
    concurrency: int = 4,
    progress: Progress | None = None,
) -> Measurement:
    """Answer and score every example whose split is `eval`.

    After the first call that got no answer no new one is started: an evaluation with a hole in it
    is not a measurement, so the rest would be paid for nothing.

    Args:
        prompt: the whole prompt version.
        examples: the labelled examples; shots among them are left out.
        metadata: scorers, limits and budget.
        caller: the models of this environment.
        judge: the pinned judge, needed where a scorer is a judge.
        repeat: how often the same examples were asked before.
        concurrency: calls in flight.
        progress: told after every example.
    """
    chosen = [example for example in examples if example.split == "eval"]
    scoring = Scoring(metadata, prompt, judge)
    budget = _Budget(metadata)
    slots = asyncio.Semaphore(concurrency)
    stopped: list[str] = []
    done = 0

    async def one(example: Example) -> Result:
        nonlocal done
        async with slots:
            reason = stopped[0] if stopped else budget.take()
            if reason is not None:
                stopped.append(reason)
                return Result(example=example, score=None, repeat=repeat, error=reason)
            try:
                result = replace(
                    await _one(prompt, example, metadata, caller, scoring), repeat=repeat
                )
            except ModelUnavailable as error:
                stopped.append(error.message)
                return Result(example=example, score=None, repeat=repeat, error=error.message)
            budget.pay(result.answer.usd if result.answer else None)
        done += 1
        if progress is not None:
            progress(done, len(chosen))
        return result

    started = time.perf_counter()
    results = await asyncio.gather(*map(one, chosen))
    return _summary(tuple(results), metadata, time.perf_counter() - started)


async def _one(
    prompt: Prompt, example: Example, metadata: Metadata, caller: ModelCaller, scoring: Scoring
) -> Result:
    async def ask(asked: Prompt, fields: Mapping[str, JsonValue], *, repeat: int = 0) -> Answer:
        return await caller.call(asked, fields, timeout=metadata.limits.seconds_per_call)

    answer = await ask(prompt, example.input)
    # An answer that breaks the output contract was given, and is worth nothing.
    output = answer.output if answer.valid else None
    parts = await scoring.parts(output, example, answer, ask)
    return Result(example=example, score=combine(parts), parts=parts, answer=answer)


def _summary(results: tuple[Result, ...], metadata: Metadata, seconds: float) -> Measurement:
    measured = [(r.score, r.example.weight) for r in results if r.score is not None]
    unmeasured = len(results) - len(measured)
    score = None
    if measured and not unmeasured:
        total = sum(weight for _, weight in measured)
        score = sum(value * weight for value, weight in measured) / total
    answers = [r.answer for r in results if r.answer is not None]
    costs = [answer.usd for answer in answers if answer.usd is not None]
    scores, weights = [value for value, _ in measured], [weight for _, weight in measured]
    return Measurement(
        score=score,
        n=len(measured),
        interval=interval(scores, weights, 1 - metadata.gate.confidence),
        per_example=results,
        unmeasured=unmeasured,
        tokens_in=sum(answer.tokens_in for answer in answers),
        tokens_out=sum(answer.tokens_out for answer in answers),
        usd=sum(costs) if costs else None,
        seconds=seconds,
    )
