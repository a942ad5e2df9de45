"""What a call's caller waits for: the answer, and no line that is written about it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from functools import partial
from pathlib import Path

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.manifest import load
from prompt_hub.service import execution_log
from prompt_hub.service.execution_log import LinesOfAnswers
from prompt_hub.service.http import Message
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.fake_provider import FakeProvider, fake_provider
from tests.unit.service.serving import FIELDS, RUN, CheckedClient, unstarted


class Output(io.StringIO):
    """Notes which lines are logged."""

    def __init__(self, happened: list[str]) -> None:
        super().__init__()
        self._happened = happened

    def write(self, text: str) -> int:
        self._happened.append(json.loads(text)["event"])
        return len(text)


def model_client(provider: FakeProvider) -> ModelClient:
    """A client of a provider that always answers the same."""
    provider.says = '{"part_class": "resistor"}'
    entry = {"provider": "openai", "model": "small", "base_url": provider.url}
    return ModelClient(ModelAliases.parse(json.dumps({"catalogue-pinned": entry})))


def with_one_version(built: Path, client: ModelClient) -> CheckedClient:
    """A service whose one task has 1.1.0 active."""
    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")
    return unstarted(built, ledger, client=client)


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
            while "prompt_call" not in happened:
                await asyncio.sleep(0)

    with fake_provider() as provider:
        client = model_client(provider)
        app = with_one_version(built, client).application
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
    assert happened == ["http.response.start", "unexpected_error", "prompt_call"]


class Writes(io.StringIO):
    """Notes what is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)


def test_lines_of_answers_that_come_together_are_written_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer() -> None:
        lines = LinesOfAnswers()
        for number in range(3):
            lines.add(partial(dict, number=number))
        assert output.texts == []
        while not output.texts:
            await asyncio.sleep(0)
        lines.add(partial(dict, number=3))
        while len(output.texts) < 2:
            await asyncio.sleep(0)

    output = Writes()
    monkeypatch.setattr(sys, "stdout", output)
    asyncio.run(answer())
    monkeypatch.undo()
    assert output.texts == ['{"number":0}\n{"number":1}\n{"number":2}\n', '{"number":3}\n']


def test_a_service_that_ends_has_written_every_line(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(execution_log, "AFTER_ANSWER_SECONDS", 3600.0)
    with fake_provider() as provider, with_one_version(built, model_client(provider)) as client:
        assert client.post(RUN, json={"fields": FIELDS}).status_code == 200
        assert "prompt_call" not in capsys.readouterr().out
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["prompt_call", "stopped"]
