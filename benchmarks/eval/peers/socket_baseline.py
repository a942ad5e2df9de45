"""The machine's limit: the same requests over plain sockets, no client library at all.

`python -m benchmarks.eval.peers.socket_baseline PORT EXAMPLES IN_FLIGHT`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from benchmarks.eval.task import Item, items


class _Caller(asyncio.Protocol):
    """One connection: sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, todo: Iterator[Item], port: int) -> None:
        self._todo = todo
        self._port = port
        self._item: Item | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.right = self.wrong = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the endpoint hung up"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._buffer = b""
        text = json.loads(body)["choices"][0]["message"]["content"]
        assert self._item is not None
        if json.loads(text) == self._item.expected:
            self.right += 1
        else:
            self.wrong += 1
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        self._item = next(self._todo, None)
        if self._item is None:
            self.done.set_result(None)
            self._transport.close()
            return
        body = json.dumps(self._item.request).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def ask(port: int, examples: int, in_flight: int) -> tuple[int, int]:
    """Ask for every example; returns how many answers were right and wrong."""
    loop = asyncio.get_running_loop()
    todo = items(examples)
    callers = []
    for _ in range(in_flight):
        _, caller = await loop.create_connection(lambda: _Caller(todo, port), "127.0.0.1", port)
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    return sum(caller.right for caller in callers), sum(caller.wrong for caller in callers)


def main() -> int:
    """Ask, and print what was answered."""
    port, examples, in_flight = map(int, sys.argv[1:])
    started = time.perf_counter()
    right, wrong = asyncio.run(ask(port, examples, in_flight))
    seconds = time.perf_counter() - started
    print(json.dumps({"right": right, "wrong": wrong, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
