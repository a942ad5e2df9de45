"""What a call's caller waits for: the answer, and no line that is written about it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.manifest import load
from prompt_hub.service.http import Message
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.fake_provider import fake_provider
from tests.unit.service.serving import FIELDS, RUN, unstarted


class Output(io.StringIO):
    """Notes which lines are logged."""

    def __init__(self, happened: list[str]) -> None:
        super().__init__()
        self._happened = happened

    def write(self, text: str) -> int:
        self._happened.append(json.loads(text)["event"])
        return len(text)


def what_happens(built: Path, monkeypatch: pytest.MonkeyPatch, *, caller_stays: bool) -> list[str]:
    """Ask once; returns what was sent and what was logged, in order."""
    happened: list[str] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps({"fields": FIELDS}).encode()}

    async def send(message: Message) -> None:
        happened.append(message["type"])
        if not caller_stays:
            raise ConnectionResetError

    async def ask() -> None:
        async with client:
            scope = {"type": "http", "method": "POST", "path": RUN, "headers": []}
            await app(scope, receive, send)

    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")
    with fake_provider() as provider:
        provider.says = '{"part_class": "resistor"}'
        entry = {"provider": "openai", "model": "small", "base_url": provider.url}
        client = ModelClient(ModelAliases.parse(json.dumps({"catalogue-pinned": entry})))
        app = unstarted(built, ledger, client=client).application
        monkeypatch.setattr(sys, "stdout", Output(happened))
        asyncio.run(ask())
        monkeypatch.undo()
    return happened


def test_a_call_is_answered_before_its_line_is_written(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = what_happens(built, monkeypatch, caller_stays=True)
    assert happened == ["http.response.start", "http.response.body", "prompt_call"]


def test_a_call_whose_answer_cannot_be_sent_has_its_line(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The model has been asked, and what it took counts.
    happened = what_happens(built, monkeypatch, caller_stays=False)
    assert happened == ["http.response.start", "prompt_call", "unexpected_error"]
