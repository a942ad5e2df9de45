"""What a request takes of the event loop and of the connection, without a server around it."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from prompt_hub.cli.serve import behind_balancer
from prompt_hub.service.http import Receive, Scope, Send
from prompt_hub.service.time_limits import TimedProtocol

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written to it, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the path, in two parts where it says so."""
    await receive()
    body = scope["path"].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if len(body) > 3:
        await send({"type": "http.response.body", "body": body[:3], "more_body": True})
        body = body[3:]
    await send({"type": "http.response.body", "body": body})


async def connected() -> tuple[TimedProtocol, Wire]:
    config: uvicorn.Config = behind_balancer(answer, "127.0.0.1", 0)
    config.load()
    protocol, wire = TimedProtocol(config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def ask(protocol: TimedProtocol, wire: Wire, request: bytes, pieces: int) -> list[bytes]:
    before = len(wire.pieces)
    protocol.data_received(request)
    while len(wire.pieces) < before + pieces:
        await asyncio.sleep(0)
    return wire.pieces[before:]


def test_the_requests_of_a_connection_set_one_timer() -> None:
    async def run() -> int:
        loop, made = asyncio.get_running_loop(), 0
        call_at = loop.call_at

        def count(*arguments: Any, **named: Any) -> asyncio.TimerHandle:
            nonlocal made
            made += 1
            return call_at(*arguments, **named)

        loop.call_at = count  # type: ignore[method-assign,assignment]
        protocol, wire = await connected()
        for number in range(9):
            await ask(protocol, wire, GET % number, 1)
        protocol.connection_lost(None)
        return made

    assert asyncio.run(run()) == 1


def test_a_short_answer_is_one_piece_and_a_long_one_is_whole() -> None:
    async def run() -> None:
        protocol, wire = await connected()
        (short,) = await ask(protocol, wire, GET % 7, 1)
        assert short.startswith(b"HTTP/1.1 200 OK\r\n")
        assert short.endswith(b"content-length: 2\r\n\r\n/7")
        long = b"".join(await ask(protocol, wire, GET % 12345, 3))
        assert long.endswith(b"content-length: 6\r\n\r\n/12345")
        # A HEAD is told how long the answer would be, and who hangs up afterwards is told so, too.
        head = b"".join(await ask(protocol, wire, b"HEAD /7 HTTP/1.1\r\nHost: x\r\n\r\n", 1))
        assert head.endswith(b"content-length: 2\r\n\r\n")
        assert not wire.closed
        last = b"".join(await ask(protocol, wire, b"GET /7 HTTP/1.0\r\nHost: x\r\n\r\n", 1))
        assert b"connection: close\r\n" in last
        for _ in range(5):
            await asyncio.sleep(0)
        assert wire.closed
        assert wire.pieces[-1].endswith(b"/7")

    asyncio.run(run())


def test_a_request_that_is_answered_is_no_longer_waited_for() -> None:
    async def run() -> None:
        protocol, wire = await connected()
        pair = GET % 1 + GET % 2
        first, second = await ask(protocol, wire, pair, 2)
        assert (first[-2:], second[-2:]) == (b"/1", b"/2")
        assert not protocol.tasks

    asyncio.run(run())
