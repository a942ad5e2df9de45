"""A real HTTP provider on loopback that fails at random, as often as it is told, in every way.

It counts what it was asked and what it answered in full, so that tests can say what was paid for.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

TOKENS = (41, 6)
PART_CLASSES = ("capacitor", "resistor", "diode", "transistor")
Headers = dict[str, str]


def part_class(question: str) -> str:
    """The class that the provider gives to a question: always the same one."""
    return PART_CLASSES[len(question) % len(PART_CLASSES)]


@dataclass
class FaultyProvider:
    """What the server does, and what it has done.

    `faults` is the chance of each kind of failure; `delay` the seconds that an answer takes.
    """

    faults: float = 0.0
    delay: float = 0.0
    port: int = 0
    requests: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    _at_once: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def models(self) -> str:
        """The setting `PROMPT_HUB_MODELS` that names this provider, with a price."""
        price = {"input": 1.0, "output": 2.0}
        model = {
            "provider": "openai",
            "model": "m-1",
            "base_url": self.url,
            "price_per_million": price,
        }
        return json.dumps({"catalogue-pinned": model})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                request = json.loads(await reader.readexactly(length))
                self.requests += 1
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                await asyncio.sleep(self.delay)
                self._at_once -= 1
                if not await self._reply(request["messages"][-1]["content"], writer):
                    break
        writer.close()

    async def _reply(self, question: str, writer: asyncio.StreamWriter) -> bool:
        """Send an answer or a failure; whether the connection may be used again."""
        answer = json.dumps({"part_class": part_class(question)})
        body = json.dumps(
            {
                "model": "m-1-build-7",
                "choices": [{"finish_reason": "stop", "message": {"content": answer}}],
                "usage": {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1]},
            }
        )
        kinds = ("busy", "broken", "hangs up", "malformed", "cut off")
        drawn = self._random.random()
        kind = kinds[int(drawn / self.faults)] if drawn < self.faults * len(kinds) else ""
        if kind == "hangs up":
            writer.transport.abort()
        elif kind == "busy":
            writer.write(_response(429, "{}", {"Retry-After": "0.05"}))
        elif kind == "broken":
            writer.write(_response(500, "<html>"))
        elif kind == "malformed":
            writer.write(_response(200, body[: len(body) // 2]))
        elif kind == "cut off":
            writer.write(_response(200, body)[:-20])
        else:
            writer.write(_response(200, body))
            await writer.drain()
            self.answered[question] += 1
            return True
        self.failed[kind] += 1
        return kind not in {"hangs up", "cut off"}


def _response(status: int, body: str, headers: Headers | None = None) -> bytes:
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n{body}".encode()


@contextmanager
def faulty_provider(*, faults: float = 0.0, delay: float = 0.0) -> Iterator[FaultyProvider]:
    """Run the server for the length of a `with`."""
    provider = FaultyProvider(faults=faults, delay=delay)
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        provider.port = server.sockets[0].getsockname()[1]
        ready.set()
        with suppress(asyncio.CancelledError):
            await server.serve_forever()

    task = loop.create_task(main())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert ready.wait(10)
    try:
        yield provider
    finally:

        async def stop() -> None:
            everything = asyncio.all_tasks() - {asyncio.current_task()}
            for item in everything:
                item.cancel()
            await asyncio.gather(*everything, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        assert task.done()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
