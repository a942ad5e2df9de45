"""The least that a client library can do: aiohttp, a table read row by row, nothing kept.

`python -m benchmarks.batch.peers.aiohttp_loop BASE_URL TABLE IN_FLIGHT`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from benchmarks.batch.rows import expected, request_of, rows


async def ask(base_url: str, table: Path, in_flight: int) -> tuple[int, int]:
    """Ask about every row; returns how many answers were right and wrong."""
    found = [0, 0]
    with table.open(encoding="utf-8", newline="") as file:
        todo = enumerate(rows(csv.reader(file)))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=in_flight), trust_env=False
        ) as session:

            async def worker(todo: Iterator[tuple[int, list[str]]]) -> None:
                for number, row in todo:
                    async with session.post(
                        f"{base_url}/chat/completions", json=request_of(row)
                    ) as response:
                        body = await response.json()
                    answer = json.loads(body["choices"][0]["message"]["content"])
                    found[answer != expected(number)] += 1

            await asyncio.gather(*(worker(todo) for _ in range(in_flight)))
    return found[0], found[1]


def main() -> int:
    """Ask, and print what was answered."""
    base_url, table, in_flight = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    right, wrong = asyncio.run(ask(base_url, table, in_flight))
    print(json.dumps({"right": right, "wrong": wrong}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
