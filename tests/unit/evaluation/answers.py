"""Answers of a model, and what they cost."""

from __future__ import annotations

import asyncio

from prompt_hub.evaluation.budget import BudgetTracker, Cost
from prompt_hub.llm.response import ModelResponse, Usage


def took(input_tokens: int, output_tokens: int = 0, usd: float | None = None) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, usd=usd, seconds=1.0)


async def call(
    tracker: BudgetTracker, most: Cost, usage: Usage | None, seconds: float = 1.0
) -> None:
    await tracker.reserve(lambda: most)
    await asyncio.sleep(seconds)
    tracker.commit(most, usage)


TITLE = {"task": "part-class", "model": "m"}


def response(text: str = '{"part_class": "diode"}', input_tokens: int = 41) -> ModelResponse:
    return ModelResponse(
        text=text,
        truncated=False,
        model="m-1",
        usage=Usage(
            input_tokens=input_tokens, output_tokens=6, usd=0.0001, seconds=0.25, attempts=2
        ),
    )


def key(number: int) -> str:
    return f"{number:064x}"
