"""The model client against a real HTTP server that misbehaves as providers do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm import secrets
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Answer
from prompt_hub.llm.retry import Retries
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder

AT_ONCE = Retries(first=0.0001)
FIELDS = {"part_number": "BAT54", "title": "Schottky diode"}
Reply = tuple[int, dict[str, str], bytes]
"""Status, headers and body; a body longer than its `Content-Length` says is cut off there."""


def chat_reply(text: str, finish: str = "stop") -> Reply:
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
    """Plays the scripted replies in order, the last one for ever; status 0 hangs up."""

    replies: ClassVar[list[Reply]] = []
    asked: ClassVar[list[dict[str, object]]] = []
    headed: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.asked.append(json.loads(self.rfile.read(length)))
        self.headed.append({name.lower(): value for name, value in self.headers.items()})
        replies = type(self).replies
        status, headers, body = replies.pop(0) if len(replies) > 1 else replies[0]
        self.close_connection = True
        if status == 0:
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        return


class Secrets(Provider):
    """Plays Secrets Manager, which may be slow."""

    seconds: ClassVar[float] = 0.0
    replies: ClassVar[list[Reply]] = []
    asked: ClassVar[list[dict[str, object]]] = []
    headed: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        time.sleep(self.seconds)
        super().do_POST()


@contextmanager
def serving(handler: type[Provider]) -> Iterator[str]:
    handler.asked.clear()
    handler.headed.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(Provider) as address:
        yield f"{address}/v1"


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


def call(url: str, prompt: Prompt, *replies: Reply, **settings: object) -> Answer:
    Provider.replies[:] = replies
    aliases = ModelAliases.parse(
        json.dumps(
            {
                "catalogue-pinned": {
                    "provider": "openai",
                    "model": "model-2026-01",
                    "base_url": url,
                    "price_per_million": {"input": 1.0, "output": 2.0},
                    **settings,
                }
            }
        )
    )

    async def once() -> Answer:
        async with ModelClient(aliases, retries=AT_ONCE) as caller:
            return await caller.call(prompt, FIELDS, timeout=5)

    return asyncio.run(once())


def test_an_answer_with_its_cost(url: str, prompt: Prompt) -> None:
    answer = call(url, prompt, chat_reply('{"part_class": "diode"}'))
    assert answer.output == {"part_class": "diode"}
    assert answer.valid
    assert answer.response.model == "model-2026-01"
    assert answer.response.usage.usd == pytest.approx(0.0011)
    (request,) = Provider.asked
    assert request["temperature"] == 0
    assert request["seed"] == 7
    schema = request["response_format"]["json_schema"]["schema"]  # type: ignore[index]
    assert schema == prompt.output


LOW = {"effort": "low", "tokens": 1024}


@pytest.mark.parametrize(
    "text",
    [
        '{"part_class": "diode"}',
        '<reasoning>A Schottky diode, {"part_class": ...}.</reasoning>{"part_class": "diode"}',
        '\n<reasoning>\n</reasoning>\n\n{"part_class": "diode"}',
    ],
)
def test_a_model_that_reasons_has_room_to_and_only_its_answer_counts(
    url: str, prompt: Prompt, text: str
) -> None:
    answer = call(url, prompt, chat_reply(text), reasoning=LOW)
    assert answer.response.text == '{"part_class": "diode"}'
    assert answer.output == {"part_class": "diode"}
    (request,) = Provider.asked
    assert request["reasoning_effort"] == "low"
    assert request["max_tokens"] == prompt.model.parameters["max_tokens"] + 1024


def test_openais_own_reasoning_models_get_what_they_take() -> None:
    setting = {"gpt": {"provider": "openai", "model": "gpt-5-mini", "reasoning": LOW}}
    model = ModelAliases.parse(json.dumps(setting)).resolve("gpt")
    asked = model.request_parameters({"temperature": 0, "max_tokens": 32, "seed": 7})
    assert asked == {"seed": 7, "reasoning_effort": "low", "max_completion_tokens": 1056}


def test_a_model_that_does_not_reason_is_not_asked_to(url: str, prompt: Prompt) -> None:
    text = '<reasoning></reasoning>{"part_class": "diode"}'
    assert call(url, prompt, chat_reply(text)).response.text == text
    assert "reasoning_effort" not in Provider.asked[0]


JSON = {"Content-Type": "application/json"}
TROUBLE: dict[str, Reply] = {
    "busy": (429, {"Retry-After": "0"}, b"{}"),
    "broken": (500, {}, b"{}"),
    "overloaded": (529, {}, b"<html>"),
    "hangs up": (0, {}, b""),
    "body is not JSON": (200, JSON, b"{this is not JSON"),
    "body is cut off": (200, {**JSON, "Content-Length": "5000"}, b'{"choices": [{"mess'),
    "no choice": (200, JSON, b'{"choices": [], "object": "x"}'),
    "another kind of JSON": (200, JSON, b"[1, 2]"),
    "content is not text": (200, JSON, b'{"choices": [{"message": {"content": {}}}]}'),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_a_call_that_fails_is_made_again(url: str, prompt: Prompt, trouble: Reply) -> None:
    answer = call(url, prompt, trouble, trouble, chat_reply('{"part_class": "diode"}'))
    assert answer.output == {"part_class": "diode"}
    assert answer.response.usage.attempts == 3
    assert len(Provider.asked) == 3


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_a_call_that_never_succeeds_is_an_outage(url: str, prompt: Prompt, trouble: Reply) -> None:
    with pytest.raises(ModelUnavailableError, match=r"gave no answer: .*, \d+ times") as caught:
        call(url, prompt, trouble)
    assert caught.value.exit_code is ExitCode.NOT_MEASURED
    patience = AT_ONCE.attempts_if_busy if trouble[0] in {429, 529} else AT_ONCE.attempts
    assert len(Provider.asked) == patience


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_call_that_is_refused_is_not_made_again(url: str, prompt: Prompt, status: int) -> None:
    with pytest.raises(ModelUnavailableError, match=f"HTTP {status}"):
        call(url, prompt, (status, {}, b'{"error": {"message": "no"}}'))
    assert len(Provider.asked) == 1


def test_a_provider_that_asks_for_an_hour_is_not_waited_for(url: str, prompt: Prompt) -> None:
    with pytest.raises(ModelUnavailableError, match="HTTP 429, and asks to wait 3600 s"):
        call(url, prompt, (429, {"Retry-After": "3600"}, b"{}"))
    assert len(Provider.asked) == 1


def test_half_a_character_in_an_answer_becomes_one_that_files_can_hold(
    url: str, prompt: Prompt
) -> None:
    answer = call(url, prompt, chat_reply('{"part_class": "\ud83d"}'))
    assert answer.response.text == '{"part_class": "\ufffd"}'
    assert answer.response.text.encode("utf-8")
    assert not answer.valid


def test_a_bedrock_call_is_signed_by_the_role(
    url: str, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_BEDROCK_BASE_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    Provider.replies[:] = [TROUBLE["broken"], chat_reply('{"part_class": "diode"}')]
    setting = {"provider": "bedrock", "model": "openai.gpt-oss-20b-1:0", "region": "eu-west-1"}
    aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": setting}))

    async def once() -> Answer:
        async with ModelClient(aliases, retries=AT_ONCE) as caller:
            return await caller.call(prompt, FIELDS, timeout=5)

    assert asyncio.run(once()).output == {"part_class": "diode"}
    for headers in Provider.headed:
        signed = headers["authorization"]
        assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        assert "/eu-west-1/bedrock/aws4_request" in signed
        assert headers["x-amz-security-token"] == "token"


@pytest.fixture
def keyed(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelAliases]:
    """The model behind a key in Secrets Manager, which is asked over real HTTP."""
    setting = {"provider": "openai", "model": "m", "base_url": url, "secret": "provider-key"}
    Provider.replies[:] = [chat_reply('{"part_class": "diode"}')]
    with serving(Secrets) as secrets:
        for name, value in {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield ModelAliases.parse(json.dumps({"catalogue-pinned": setting}))


def secret(key: str) -> Reply:
    return 200, JSON, json.dumps({"SecretString": key}).encode()


def test_a_slow_secret_is_read_once_and_holds_nothing_up(
    keyed: ModelAliases, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Secrets, "seconds", 1.0)
    Secrets.replies[:] = [secret("key-1")]
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    async def together() -> list[Answer]:
        async with ModelClient(keyed, retries=AT_ONCE) as caller:
            heart = asyncio.create_task(beat())
            await asyncio.sleep(0)
            # The first one loses its patience; the others must not wait for another reading.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await caller.call(prompt, FIELDS)
            answers = await asyncio.gather(*(caller.call(prompt, FIELDS) for _ in range(5)))
            heart.cancel()
            return answers

    assert all(answer.valid for answer in asyncio.run(together()))
    assert len(Secrets.asked) == 1
    assert longest < 0.8
    assert {headers["authorization"] for headers in Provider.headed} == {"Bearer key-1"}


def test_a_secret_that_may_not_be_read_is_an_outage_with_a_next_step(
    keyed: ModelAliases, prompt: Prompt
) -> None:
    denied = {"__type": "AccessDeniedException", "Message": "arn:aws:sts::111122223333:role/x may"}
    Secrets.replies[:] = [(400, JSON, json.dumps(denied).encode())]

    async def once() -> None:
        async with ModelClient(keyed, retries=AT_ONCE) as caller:
            await caller.call(prompt, FIELDS)

    with pytest.raises(ModelUnavailableError) as caught:
        asyncio.run(once())
    assert caught.value.message == (
        "the provider's key cannot be read from the secret 'provider-key': AccessDeniedException."
    )
    assert "this role may read it" in caught.value.hint
    assert Provider.asked == []


@pytest.mark.parametrize(("same_for", "readings"), [(60.0, 1), (0.0, 2)])
def test_a_rotated_key_is_read_again_but_not_over_and_over(
    keyed: ModelAliases,
    prompt: Prompt,
    monkeypatch: pytest.MonkeyPatch,
    same_for: float,
    readings: int,
) -> None:
    monkeypatch.setattr(secrets, "SAME_KEY_SECONDS", same_for)
    Secrets.replies[:] = [secret("key-1"), secret("key-2")]
    good = Provider.replies[0]
    Provider.replies[:] = [good, (401, {}, b"{}"), good]

    async def three() -> None:
        async with ModelClient(keyed, retries=AT_ONCE) as caller:
            await caller.call(prompt, FIELDS)
            with pytest.raises(ModelUnavailableError, match="HTTP 401"):
                await caller.call(prompt, FIELDS)
            await caller.call(prompt, FIELDS)

    asyncio.run(three())
    assert len(Secrets.asked) == readings
    assert Provider.headed[-1]["authorization"] == f"Bearer key-{readings}"


def test_a_key_that_was_just_refused_is_taken_out_of_its_refusal(
    keyed: ModelAliases, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Old enough to be read anew, so that it is no longer the key by the time that this is told.
    monkeypatch.setattr(secrets, "SAME_KEY_SECONDS", 0.0)
    Secrets.replies[:] = [secret("plain-words-as-a-key")]
    denied = b'{"error": {"message": "Bad key plain-words-as-a-key: ask again"}}'
    Provider.replies[:] = [(401, {}, denied)]

    async def once() -> None:
        async with ModelClient(keyed, retries=AT_ONCE) as caller:
            await caller.call(prompt, FIELDS)

    with pytest.raises(ModelUnavailableError) as caught:
        asyncio.run(once())
    assert Provider.headed[-1]["authorization"] == "Bearer plain-words-as-a-key"
    assert "HTTP 401: Bad key …: ask again." in caught.value.message


def test_a_key_that_was_taken_away_stays_known_for_calls_that_are_under_way() -> None:
    now, keys = 0.0, iter(["key-before", "key-after"])
    key = secrets.SecretApiKey("provider-key", read=lambda _: next(keys), clock=lambda: now)

    async def rotate() -> list[str]:
        nonlocal now
        before = await key()
        now += secrets.SAME_KEY_SECONDS
        key.refused()
        return [before, await key()]

    assert asyncio.run(rotate()) == ["key-before", "key-after"]
    # Others were asked with the first one, and may only be refused now.
    assert set(key.known) == {"key-before", "key-after"}


def test_nobody_listening_is_an_outage(prompt: Prompt) -> None:
    with pytest.raises(ModelUnavailableError, match=r"no connection \(refused\), 6 times"):
        call("http://127.0.0.1:9/v1", prompt, chat_reply("{}"))


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (chat_reply("a diode"), "not JSON"),
        (chat_reply("[1]"), "not a JSON object"),
        (chat_reply('{"part_class": "valve"}'), "valve"),
        (chat_reply('{"part_cl', finish="length"), "cut off after 50 tokens"),
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
        ("{", "is wrong at the text: "),
        ('{"small": "gpt"}', "is wrong at small: "),
        ('{"small": {"model": "x"}}', "is wrong at small.provider: Field required"),
        ('{"a": {"provider": "carrier-pigeon", "model": "x"}}', "is wrong at a.provider: "),
        ('{"a": {"provider": "bedrock", "model": "x"}}', "is wrong at a: .* needs a region"),
        (
            '{"a": {"provider": "openai", "model": "x", "api_key": "y"}}',
            r"is wrong at a\.api_key: there is no such key \(known: api_key_env, .*; did you mean"
            r" 'api_key_env'\?\)",
        ),
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
