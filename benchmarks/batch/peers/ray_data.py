"""Ray Data over the same table: a pool of one actor that asks with the openai SDK, 64 at once.

`python -m benchmarks.batch.peers.ray_data BASE_URL TABLE IN_FLIGHT OUTPUT`, in an environment of
its own; prints one JSON line. Ray writes the answers as JSON lines, as a job would its result.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import psutil
import ray

from benchmarks.batch.rows import request_of


class Asker:
    """One actor: a client, and so many calls of it in flight."""

    def __init__(self, base_url: str, in_flight: int) -> None:
        # Where the actor runs: classes that Ray carries there from here lose what they inherit.
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self._client = AsyncOpenAI(
            base_url=base_url, api_key="none", http_client=DefaultAioHttpClient()
        )
        self._slots = asyncio.Semaphore(in_flight)

    async def __call__(self, batch: dict[str, list[str]]) -> AsyncIterator[dict[str, list[str]]]:
        """Answer the rows of a batch."""
        rows = list(zip(batch["Description"], batch["Maker"], strict=True))
        answers = await asyncio.gather(*(self._ask(row) for row in rows))
        yield {**batch, "answer": answers}

    async def _ask(self, row: tuple[str, str]) -> str:
        async with self._slots:
            body: Any = request_of(row)
            answer = await self._client.chat.completions.create(**body)
            return answer.choices[0].message.content or ""


def main() -> int:
    """Run the job, and print its rows and what all of its processes cost."""
    base_url, table, in_flight, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    ray.init(include_dashboard=False, log_to_driver=False, num_cpus=2)
    answered = ray.data.read_csv(table).map_batches(
        Asker,
        fn_constructor_args=(base_url, in_flight),
        batch_size=256,
        concurrency=1,
        max_concurrency=2,
    )
    answered.write_json(output)
    me = psutil.Process()
    processes = [me, *me.children(recursive=True)]
    times = [process.cpu_times() for process in processes]
    cpu = sum(each.user + each.system + each.children_user + each.children_system for each in times)
    peak = max(process.memory_info().rss for process in processes) / 1e6
    print(json.dumps({"cpu_seconds": cpu, "resident_mb": peak, "processes": len(processes)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
