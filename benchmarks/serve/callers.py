"""Callers that each send a request, wait for its answer, and send the next: one process, sockets.

Raw asyncio protocols, so that what is measured is the server. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

_END = b"\r\n\r\n"
WARM_UP_SECONDS = 0.5
"""After it percentiles count: all callers connect and ask in the same instant, as no callers do."""


class Caller(asyncio.Protocol):
    """One kept-alive connection that asks again and again until the time is over."""

    def __init__(self, run: Run, first: int) -> None:
        self._run = run
        self._next = first
        self._began = 0.0
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """End; a connection that the server closed is counted."""
        if not self.done.done():
            self._run.statuses["closed"] += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take one whole answer, then ask again."""
        self._buffer += data
        end = self._buffer.find(_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if found:
            if len(self._buffer) < end + 4 + int(rest.split(b"\r\n", 1)[0]):
                return
        elif not self._buffer.endswith(b"0" + _END):
            return
        now = time.perf_counter()
        if self._began >= self._run.counted_from:
            self._run.seconds.append(now - self._began)
        status = head[9:12].decode()
        self._run.statuses[status] += 1
        if status != "200" and not self._run.example:
            self._run.example = self._buffer[:1000].decode("utf-8", "replace")
        self._buffer = b""
        if now < self._run.until:
            self._ask()
        else:
            self.done.set_result(None)
            assert self._transport is not None
            self._transport.close()

    def _ask(self) -> None:
        requests = self._run.requests
        self._next += 1
        assert self._transport is not None
        self._began = time.perf_counter()
        self._transport.write(requests[self._next % len(requests)])


class Run:
    """What the callers of one run share."""

    def __init__(self, requests: Sequence[bytes], seconds: float) -> None:
        self.requests = requests
        self.counted_from = time.perf_counter() + WARM_UP_SECONDS
        self.until = self.counted_from + seconds
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.example = ""

    def to_json(self, wall: float) -> str:
        """Return counts of the whole run, and the milliseconds of each answer after the warm-up."""
        return json.dumps(
            {
                "requests": self.statuses.total(),
                "wall": round(wall, 4),
                "milliseconds": [round(1000 * seconds, 3) for seconds in self.seconds],
                "statuses": dict(self.statuses),
                "example": self.example,
            }
        )


async def call(port: int, requests: Sequence[bytes], callers: int, seconds: float) -> str:
    """Let `callers` call for so long, and say what they found."""
    run, began = Run(requests, seconds), time.perf_counter()
    loop = asyncio.get_running_loop()
    connections = await asyncio.gather(
        *(
            loop.create_connection(partial(Caller, run, 7 * number), "127.0.0.1", port)
            for number in range(callers)
        )
    )
    await asyncio.gather(*(caller.done for _, caller in connections))
    return run.to_json(time.perf_counter() - began)


def main() -> int:
    """Call as the arguments say; the requests lie in a file of JSON strings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=Path)
    parser.add_argument("callers", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    requests = [text.encode() for text in json.loads(arguments.requests.read_text("utf-8"))]
    # Nothing here goes in circles, and a collection would count as the server's time.
    gc.disable()
    print(asyncio.run(call(arguments.port, requests, arguments.callers, arguments.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
