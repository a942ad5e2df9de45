"""The server around the service: how often it wakes up, and that it stops when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest

from prompt_hub.cli.serve import behind_balancer
from prompt_hub.service import server as quiet
from prompt_hub.service.http import Receive, Scope, Send
from prompt_hub.service.server import QuietServer


async def started(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that starts and stops, and answers nobody."""
    for word in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{word}.complete"})


class Counted(QuietServer):
    """Counts how often it looks up, and says so after so many times."""

    looks = 0
    enough = 2**63
    reached: asyncio.Event

    async def on_tick(self, counter: int) -> bool:
        self.looks += 1
        if self.looks == self.enough:
            self.reached.set()
        return await super().on_tick(counter)


async def serving(server: Counted) -> asyncio.Task[None]:
    server.reached = asyncio.Event()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    task = asyncio.create_task(server.serve([listener]))
    while not server.looks:
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_not_with_its_next_look(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would look up again after the test has failed.
    monkeypatch.setattr(quiet, "TICK_SECONDS", 10_000.0)

    async def run() -> int:
        server = Counted(behind_balancer(started, "127.0.0.1", 0))
        task = await serving(server)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(task, 60)
        return server.looks

    heard: list[int] = []
    before = signal.signal(number, lambda number, frame: heard.append(number))
    try:
        assert asyncio.run(run()) == 2
    finally:
        signal.signal(number, before)
    # Raised once more for whoever has started it.
    assert heard == [number]


def test_a_signal_while_it_starts_lets_the_start_end_and_then_ends_it() -> None:
    happened: list[str] = []

    async def starting(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        for word in ("startup", "shutdown"):
            happened.append(word)
            await send({"type": f"lifespan.{word}.complete"})
            if word == "startup":
                await receive()

    async def run() -> int:
        server = Counted(behind_balancer(starting, "127.0.0.1", 0))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            await asyncio.wait_for(server.serve([listener]), 60)
        return server.looks

    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        assert asyncio.run(run()) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert happened == ["startup", "shutdown"]
    assert set(heard) == {signal.SIGTERM}


def test_the_date_of_answers_moves_on_with_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "TICK_SECONDS", 0.001)

    async def run() -> bytes:
        server = Counted(behind_balancer(started, "127.0.0.1", 0))
        server.enough = 3
        task = await serving(server)
        server.server_state.default_headers = [(b"date", b"long ago")]
        await asyncio.wait_for(server.reached.wait(), 60)
        server.reached.clear()
        server.enough = server.looks + 2
        await asyncio.wait_for(server.reached.wait(), 60)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 60)
        ((name, date),) = server.server_state.default_headers
        assert name == b"date"
        return date

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert b"GMT" in asyncio.run(run())
    finally:
        signal.signal(signal.SIGTERM, before)
