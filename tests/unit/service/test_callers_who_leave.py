"""A call that waits for its model's limit: who hangs up is not asked for, and others come first."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.manifest import load
from prompt_hub.service import service
from prompt_hub.service.admission import Admission
from prompt_hub.service.http import ServiceApp
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.fake_provider import FakeProvider, fake_provider
from tests.unit.service.serving import FIELDS, RUN, listening, unstarted

SOON = 10.0
"""Seconds within which anything must have happened, on a busy machine."""


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def one_at_a_time(provider: FakeProvider) -> ModelClient:
    """A client whose model takes one call after the other."""
    entry = {"provider": "openai", "model": "small", "base_url": provider.url, "concurrency": 1}
    return ModelClient(ModelAliases.parse(json.dumps({"catalogue-pinned": entry})))


def app_of(built: Path, client: ModelClient, admission: Admission) -> ServiceApp:
    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")
    return unstarted(built, ledger, client=client, admission=admission).application


def call(port: int, part_number: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=SOON)
    body = json.dumps({"fields": FIELDS | {"part_number": part_number}})
    head = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    connection.sendall((head + body).encode())
    return connection


def test_who_has_hung_up_while_waiting_is_not_asked_for(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts, may_answer = [0], threading.Event()

    def answer(_: object) -> object:
        assert may_answer.wait(SOON)
        return {"part_class": "resistor"}

    with ExitStack() as stack:
        provider = stack.enter_context(fake_provider())
        provider.thinks = answer
        app = app_of(built, one_at_a_time(provider), Admission(8, counts))
        port = stack.enter_context(listening(app))
        # Were the test to fail, the service would wait for this one.
        stack.callback(may_answer.set)
        sent = call(port, "SENT")
        eventually(lambda: len(provider.asked) == 1)
        gone = [call(port, f"GONE{number}") for number in range(2)]
        eventually(lambda: counts == [3])
        there = call(port, "THERE")
        eventually(lambda: counts == [4])
        for connection in (sent, *gone):
            connection.close()
        # They keep no place while the model is at work on a call that was sent.
        eventually(lambda: counts == [2])
        may_answer.set()
        with there:
            assert there.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        eventually(lambda: counts == [0])
    asked = [request["messages"][-1]["content"] for request in provider.asked]
    assert re.findall("SENT|GONE|THERE", " ".join(asked)) == ["SENT", "THERE"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    outcomes = [line["outcome"] for line in lines if line["event"] == "prompt_call"]
    # What was sent is paid for, whoever hears the answer.
    assert outcomes == ["ok", "ok"]
    assert {line["event"] for line in lines} <= {"prompt_call", "started", "stopped"}


def test_who_waits_for_the_limit_in_vain_is_told_so(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LAST_ATTEMPT", 0.3 / service.SECONDS_PER_CALL)
    may_answer = threading.Event()
    with ExitStack() as stack:
        provider = stack.enter_context(fake_provider())
        provider.thinks = lambda _: may_answer.wait(SOON)
        app = app_of(built, one_at_a_time(provider), Admission())
        port = stack.enter_context(listening(app))
        stack.callback(may_answer.set)
        with call(port, "SENT"):
            eventually(lambda: len(provider.asked) == 1)
            with call(port, "IN VAIN") as connection:
                answer = b""
                while not answer.endswith(b"}"):
                    piece = connection.recv(65_536)
                    assert piece, f"hung up after {answer!r}"
                    answer += piece
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == (
        "the model openai:small (alias 'catalogue-pinned') gave no answer: "
        "there was no time left to ask it, its limits let no other call through."
    )
    assert len(provider.asked) == 1
