"""The loop that everybody writes: the openai SDK's `create()`, its aiohttp backend, a semaphore.

No scores, no journal, no retries to speak of: what an engine costs beyond this, it costs.
`python -m benchmarks.eval.peers.bare_openai BASE_URL EXAMPLES IN_FLIGHT`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, cast

from openai import AsyncOpenAI, DefaultAioHttpClient

from benchmarks.eval.task import MODEL, RESPONSE_FORMAT, Item, items

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.shared_params import ResponseFormatJSONSchema


async def ask(base_url: str, examples: int, in_flight: int) -> tuple[int, int]:
    """Ask for every example; returns how many answers were right and wrong."""
    slots = asyncio.Semaphore(in_flight)
    async with AsyncOpenAI(
        base_url=base_url, api_key="none", http_client=DefaultAioHttpClient()
    ) as client:

        async def answer_one(item: Item) -> bool:
            async with slots:
                answer = await client.chat.completions.create(
                    model=MODEL,
                    messages=cast("list[ChatCompletionMessageParam]", item.messages),
                    response_format=cast("ResponseFormatJSONSchema", RESPONSE_FORMAT),
                    temperature=0,
                    max_tokens=64,
                    seed=7,
                )
            return bool(json.loads(answer.choices[0].message.content or "") == item.expected)

        found = await asyncio.gather(*map(answer_one, items(examples)))
    return sum(found), len(found) - sum(found)


def main() -> int:
    """Ask, and print what was answered."""
    base_url, examples, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    right, wrong = asyncio.run(ask(base_url, examples, in_flight))
    print(json.dumps({"right": right, "wrong": wrong}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
