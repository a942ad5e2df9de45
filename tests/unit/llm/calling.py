"""Calls a prompt once through the real client on one configured model."""

from __future__ import annotations

import asyncio
import json

from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.response import Answer
from prompt_hub.llm.retry import Retries
from prompt_hub.repository.schema import Prompt

FIELDS = {"part_number": "BAT54", "title": "Schottky diode"}
AT_ONCE = Retries(first=0.0001)


def call_once(prompt: Prompt, setting: dict[str, object], *, timeout: float = 5) -> Answer:
    aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": setting}))

    async def once() -> Answer:
        async with ModelClient(aliases, retries=AT_ONCE) as client:
            return await client.call(prompt, FIELDS, timeout=timeout)

    return asyncio.run(once())
