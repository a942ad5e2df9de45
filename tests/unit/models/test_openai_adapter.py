"""The model client against a real HTTP server that misbehaves as providers do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.models.aliases import ModelAliases
from prompt_hub.models.call import Answer, ModelCaller, ModelUnavailable
from prompt_hub.prompts.models import Prompt
from tests.unit.building import RepositoryFolder

FIELDS = {"part_number": "BAT54", "title": "Schottky diode"}
Reply = tuple[int, dict[str, str], bytes]


def said(text: str, finish: str = "stop") -> Reply:
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "model-2026-01",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


class Provider(BaseHTTPRequestHandler):
    """Plays the scripted replies in order, the last one for ever."""

    replies: ClassVar[list[Reply]] = []
    asked: ClassVar[list[dict[str, object]]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.asked.append(json.loads(self.rfile.read(length)))
        replies = type(self).replies
        status, headers, body = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    Provider.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


def call(url: str, prompt: Prompt, *replies: Reply) -> Answer:
    Provider.replies[:] = replies
    aliases = ModelAliases.parse(
        json.dumps(
            {
                "catalogue-pinned": {
                    "provider": "openai",
                    "model": "model-2026-01",
                    "base_url": url,
                    "price_per_million": {"input": 1.0, "output": 2.0},
                }
            }
        )
    )

    async def once() -> Answer:
        async with ModelCaller(aliases) as caller:
            return await caller.call(prompt, FIELDS, timeout=5)

    return asyncio.run(once())


def test_an_answer_with_its_cost(url: str, prompt: Prompt) -> None:
    answer = call(url, prompt, said('{"part_class": "diode"}'))
    assert answer.output == {"part_class": "diode"}
    assert answer.valid
    assert answer.answered_by == "model-2026-01"
    assert answer.usd == pytest.approx(0.0011)
    (request,) = Provider.asked
    assert request["temperature"] == 0
    assert request["seed"] == 7
    schema = request["response_format"]["json_schema"]["schema"]  # type: ignore[index]
    assert schema == prompt.output


def test_busy_and_broken_providers_are_asked_again(url: str, prompt: Prompt) -> None:
    busy: Reply = (429, {"Retry-After": "0"}, b"{}")
    broken: Reply = (500, {}, b"{}")
    answer = call(url, prompt, busy, broken, said('{"part_class": "diode"}'))
    assert answer.attempts == 3
    assert len(Provider.asked) == 3


@pytest.mark.parametrize(
    "reply",
    [
        (401, {}, b'{"error": {"message": "no"}}'),
        (200, {"Content-Type": "application/json"}, b"{this is not JSON"),
        (200, {"Content-Type": "application/json"}, b'{"choices": [], "object": "x"}'),
    ],
)
def test_no_answer_is_an_outage(url: str, prompt: Prompt, reply: Reply) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        call(url, prompt, reply)
    assert caught.value.exit_code is ExitCode.NOT_MEASURED


def test_nobody_listening_is_an_outage(prompt: Prompt) -> None:
    with pytest.raises(ModelUnavailable, match="no connection"):
        call("http://127.0.0.1:9/v1", prompt, said("{}"))


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (said("a diode"), "not JSON"),
        (said("[1]"), "not a JSON object"),
        (said('{"part_class": "valve"}'), "valve"),
        (said('{"part_cl', finish="length"), "cut off after 50 tokens"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_an_answer(
    url: str, prompt: Prompt, reply: Reply, problem: str
) -> None:
    answer = call(url, prompt, reply)
    assert not answer.valid
    assert answer.problem is not None
    assert problem in answer.problem


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("", "is empty"),
        ("/no/such/file.json", "cannot be read"),
        ("{", "is wrong"),
        ('{"a": {"provider": "carrier-pigeon", "model": "x"}}', "carrier|provider"),
        ('{"a": {"provider": "bedrock", "model": "x"}}', "needs a region"),
    ],
)
def test_bad_settings_are_one_sentence(setting: str, says: str) -> None:
    with pytest.raises(PromptHubError, match=says):
        ModelAliases.from_environment({"PROMPT_HUB_MODELS": setting})


def test_an_unknown_alias_names_the_known_ones() -> None:
    aliases = ModelAliases.parse('{"a": {"provider": "openai", "model": "x"}}')
    with pytest.raises(PromptHubError, match=r"'b' is not configured here \(known: a\)"):
        aliases.resolve("b")
    assert ModelAliases.parse(aliases.to_json()).resolve("a").identity == "openai:x"
