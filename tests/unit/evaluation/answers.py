"""Answers of a model, and what they cost."""

from __future__ import annotations

import asyncio

from prompt_hub.evaluation.budget import BudgetTracker, Cost
from prompt_hub.llm.client import Response


def took(tokens_in: int, tokens_out: int = 0, usd: float | None = None) -> Response:
    return Response(
        text="{}",
        truncated=False,
        answered_by="m",
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd=usd,
        seconds=1.0,
        attempts=1,
    )


async def call(
    tracker: BudgetTracker, most: Cost, response: Response | None, seconds: float = 1.0
) -> None:
    await tracker.reserve(most)
    await asyncio.sleep(seconds)
    tracker.commit(most, response)


TITLE = {"task": "part-class", "model": "m"}


def response(text: str = '{"part_class": "diode"}', tokens_in: int = 41) -> Response:
    return Response(
        text=text,
        truncated=False,
        answered_by="m-1",
        tokens_in=tokens_in,
        tokens_out=6,
        usd=0.0001,
        seconds=0.25,
        attempts=2,
    )


def key(number: int) -> str:
    return f"{number:064x}"
