"""What a call leaves behind: nothing that the garbage collector would have to look for."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from types import FrameType

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.retry import Retries
from prompt_hub.release.manifest import load
from prompt_hub.service.http import AsgiApp, Message
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.fake_provider import fake_provider
from tests.unit.service.serving import FIELDS, RUN, unstarted

AT_ONCE = Retries(attempts=2, attempts_if_busy=2, first=0.001)


async def ask(app: AsgiApp, fields: object) -> int:
    """Ask once, as a server would; returns the status."""
    body = json.dumps({"fields": fields}).encode()
    told: list[Message] = []
    coming: list[Message] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop()

    async def send(message: Message) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": RUN, "headers": []}
    await app(scope, receive, send)
    status: int = told[0]["status"]
    return status


@pytest.mark.parametrize(
    ("says", "status", "more", "answered"),
    [
        pytest.param('{"part_class": "resistor"}', 200, {}, 200, id="good"),
        pytest.param("no JSON", 200, {}, 502, id="an answer that breaks its contract"),
        pytest.param("", 400, {}, 503, id="a refusal"),
        pytest.param("", 500, {}, 503, id="a provider that is broken"),
        pytest.param("", 200, {"colour": "red"}, 422, id="fields that do not fit"),
    ],
)
@pytest.mark.parametrize("at_once", [1, 5])
def test_no_call_is_left_to_the_collector(
    built: Path, says: str, status: int, more: dict[str, str], answered: int, at_once: int
) -> None:
    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")

    async def calls(app: AsgiApp, client: ModelClient) -> list[str]:
        async with client:
            assert await ask(app, FIELDS | more) == answered
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            numbers = iter(range(5))

            async def caller() -> None:
                for number in numbers:
                    assert await ask(app, FIELDS | more | {"part_number": f"R{number}"}) == answered

            # The model takes one of them at a time: others wait.
            callers = [asyncio.create_task(caller()) for _ in range(at_once)]
            await asyncio.wait(callers)
            del callers
            # What watched for who hangs up meanwhile has ended with the next turn.
            await asyncio.sleep(0)
            gc.collect()
        left, gc.garbage[:] = list(gc.garbage), []
        # A frame holds what its call was about.
        return [str(each.f_code) for each in left if isinstance(each, FrameType)]

    with fake_provider() as provider:
        provider.says, provider.status = says, status
        entry = {"provider": "openai", "model": "small", "base_url": provider.url}
        entry["concurrency"] = 1
        aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": entry}))
        client = ModelClient(aliases, retries=AT_ONCE)
        app = unstarted(built, ledger, client=client).application
        gc.disable()
        try:
            assert asyncio.run(calls(app, client)) == []
        finally:
            gc.set_debug(0)
            gc.enable()
