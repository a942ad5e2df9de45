"""What goes over the wire: what the openai SDK would send, formed once, sent over and over."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx2
import pytest

from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.providers._requests import (
    Connections,
    FormedRequest,
    SdkClient,
    tls_context,
)
from prompt_hub.llm.response import Answer
from prompt_hub.llm.retry import Retries
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import AT_ONCE
from tests.unit.llm.servers import Asked, Reply, Scripted, scripted

GOOD: Reply = (
    200,
    {},
    {
        "model": "model-2026-01",
        "choices": [
            {
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": '{"part_class": "diode"}'},
            }
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    },
)
KEY = "key-of-the-model"
SELF_SIGNED = Path(__file__).parents[2] / "fixtures" / "self_signed.pem"
"""A certificate of localhost that nobody else has signed, and its key."""
NOBODY = cast(SdkClient, None)
"""Whoever follows redirects, where there are none."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted(GOOD) as script:
        yield script


def call_each(
    prompt: Prompt,
    base_url: str | None,
    *titles: str,
    retries: Retries = AT_ONCE,
    **setting: object,
) -> list[Answer]:
    """Ask about one record a title, one after the other, through one client."""
    entry = {
        "provider": "openai",
        "model": "m",
        "base_url": base_url,
        "api_key_env": "MODEL_KEY",
        **setting,
    }
    given = {name: value for name, value in entry.items() if value is not None}
    aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": given}))

    async def each() -> list[Answer]:
        async with ModelClient(aliases, retries=retries) as client:
            return [
                await client.call(prompt, {"part_number": "BAT54", "title": title}, timeout=5)
                for title in titles
            ]

    return asyncio.run(each())


def own_headers(asked: Asked) -> dict[str, str]:
    """All headers but those that every body has its own of."""
    return {name: value for name, value in asked.headers.items() if name != "content-length"}


def test_every_call_sends_what_the_sdk_would_have_sent(server: Scripted, prompt: Prompt) -> None:
    import openai  # half a second of CPU, which each worker would pay

    async def by_the_sdk() -> None:
        transport = openai.DefaultAioHttpClient(timeout=None)
        async with openai.AsyncOpenAI(
            api_key=KEY,
            base_url=f"{server.url}/v1",
            max_retries=0,
            timeout=None,
            http_client=transport,
        ) as client:
            await client.post("/chat/completions", cast_to=httpx2.Response, content=b"{}")

    asyncio.run(by_the_sdk())
    call_each(prompt, f"{server.url}/v1", "Schottky diode", "Zener diode")
    expected, first, second = server.asked
    assert first.path == second.path == expected.path == "/v1/chat/completions"
    assert own_headers(first) == own_headers(second) == own_headers(expected)
    assert expected.headers["authorization"] == f"Bearer {KEY}"
    assert "Schottky diode" in json.dumps(first.body)
    assert "Zener diode" in json.dumps(second.body)


def test_what_a_server_wants_kept_is_sent_with_every_later_call(
    server: Scripted, prompt: Prompt
) -> None:
    status, _, body = GOOD
    kept: Reply = (status, {"Set-Cookie": 'route="a b"; Path=/v1; HttpOnly'}, body)
    server.replies[:] = [kept, GOOD, (status, {"Set-Cookie": "other=1"}, body), GOOD]
    # Of an address without a name nothing is kept.
    call_each(prompt, server.url.replace("127.0.0.1", "localhost") + "/v1", *"abcd")
    assert [asked.headers.get("cookie") for asked in server.asked] == [
        None,
        'route="a b"',
        'route="a b"',
        'other=1; route="a b"',
    ]


def test_cookies_that_somebody_has_set_are_sent_with_every_call(
    server: Scripted, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Cookie: tenant=a\nX-Tenant: b")
    status, _, body = GOOD
    server.replies[:] = [GOOD, (status, {"Set-Cookie": "route=1; Path=/"}, body), GOOD]
    call_each(prompt, server.url.replace("127.0.0.1", "localhost") + "/v1", *"abc")
    sent = [asked.headers.get("cookie") for asked in server.asked]
    assert sent == ["tenant=a", "tenant=a", "route=1; tenant=a"]
    assert {asked.headers.get("x-tenant") for asked in server.asked} == {"b"}


def test_nothing_is_sent_behind_a_body_that_was_answered_before_it_was_read() -> None:
    heads: list[list[bytes]] = []

    async def read_heads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each head; a long body is not read, and the connection kept."""
        heads.append([])
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            heads[-1].append(head)
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            if length > 1_000_000:
                await asyncio.sleep(60)
            await reader.readexactly(length)

    async def ask() -> None:
        server = await asyncio.start_server(read_heads, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        formed = FormedRequest(method="POST", url=url, headers=[], proxy=None)
        connections = Connections()
        for length in (10, 30_000_000, 10):
            async with asyncio.timeout(20):
                await connections.send(NOBODY, formed, b"x" * length)
        await connections.close()
        server.close()

    asyncio.run(ask())
    assert [len(of_one) for of_one in heads] == [2, 1]


def test_a_request_that_is_sent_again_keeps_no_record_and_no_answer(server: Scripted) -> None:
    url = f"{server.url}/v1/chat/completions"
    formed = FormedRequest(method="POST", url=url, headers=[], proxy=None)

    async def send() -> None:
        connections = Connections()
        await connections.send(NOBODY, formed, b'{"of": "somebody"}')
        await connections.close()

    asyncio.run(send())
    assert formed.sent is not None
    assert not formed.sent.request.body
    assert formed.sent.request.response is None


def test_every_answer_is_read_whatever_way_it_is_sent(server: Scripted, prompt: Prompt) -> None:
    status, _, body = GOOD
    plain = json.dumps(body).encode()
    replies: list[Reply] = [
        GOOD,
        (status, {"Content-Encoding": "gzip"}, gzip.compress(plain)),
        (status, {"Content-Encoding": "deflate"}, zlib.compress(plain)),
    ]
    server.replies[:] = [*replies, *replies]
    answers = call_each(prompt, f"{server.url}/v1", *map(str, range(6)))
    assert [answer.output for answer in answers] == [{"part_class": "diode"}] * 6


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param((0, {}, {}), id="hung up"),
        pytest.param((200, {"Content-Length": "9999"}, b"{}"), id="half an answer"),
        pytest.param((200, {"Content-Length": "two"}, b"{}"), id="no HTTP"),
        pytest.param((200, {"Content-Encoding": "gzip"}, b"{}"), id="no gzip"),
    ],
)
def test_a_later_answer_that_breaks_off_is_no_connection(
    server: Scripted, prompt: Prompt, broken: Reply
) -> None:
    server.replies[:] = [GOOD, broken, GOOD]
    retries = Retries(attempts=2, first=0.0)
    first, second = call_each(prompt, f"{server.url}/v1", "a", "b", retries=retries)
    assert first.output == second.output == {"part_class": "diode"}
    assert second.response.usage.attempts == 2
    server.replies[:] = [GOOD, broken]
    with pytest.raises(ModelUnavailableError, match="no connection"):
        call_each(prompt, f"{server.url}/v1", "a", "b")


@pytest.mark.parametrize("parameters", [{}, {"temperature": 0, "max_tokens": 64}])
def test_a_body_is_the_json_of_its_parts_in_one_order(
    server: Scripted, prompt: Prompt, parameters: dict[str, float]
) -> None:
    model = prompt.model.model_copy(update={"parameters": parameters})
    one = prompt.model_copy(update={"model": model})
    call_each(one, f"{server.url}/v1", 'Schottky "diode", 100 Ω', "Zener diode")
    first, second = server.asked
    assert list(first.body) == ["model", "messages", "response_format", *parameters]
    assert first.body["response_format"] == second.body["response_format"]
    for asked in server.asked:
        text = json.dumps(asked.body, ensure_ascii=False, separators=(",", ":"))
        assert asked.raw == text.encode("utf-8")


SIGNED = {"provider": "bedrock", "region": "eu-west-1", "api_key_env": None}


@pytest.fixture
def signing(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The server as Bedrock, which is asked by a role."""
    for name, value in {
        "AWS_BEDROCK_BASE_URL": f"{server.url}/v1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    return server


def test_what_is_signed_is_signed_for_every_body(signing: Scripted, prompt: Prompt) -> None:
    call_each(prompt, None, "Schottky diode", "Zener diode", **SIGNED)
    first, second = (asked.headers["authorization"] for asked in signing.asked)
    assert first.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert first.partition("Signature=")[2] != second.partition("Signature=")[2]


def test_what_is_signed_follows_no_redirect(signing: Scripted, prompt: Prompt) -> None:
    with scripted(GOOD) as other:
        signing.replies[:] = [(307, {"Location": f"{other.url}/v1/chat/completions"}, {})]
        with pytest.raises(ModelUnavailableError, match="HTTP 307"):
            call_each(prompt, None, "Schottky diode", **SIGNED)
    assert signing.asked[0].headers["x-amz-security-token"] == "token"
    assert other.asked == []


def test_a_formed_request_shows_no_key() -> None:
    headers = [("authorization", f"Bearer {KEY}")]
    proxy = "http://user:word@proxy.example"
    formed = FormedRequest(method="POST", url="http://host/v1", headers=headers, proxy=proxy)
    assert KEY not in repr(formed)
    assert "word" not in repr(formed)


# --- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_endpoint_may_prove_itself_by_the_certificate_that_is_trusted(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """It is its own root, as of many models in a house of one's own."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(SELF_SIGNED)
    with scripted(GOOD, tls=tls) as server:
        url = server.url.replace("127.0.0.1", host) + "/v1"
        once = Retries(attempts=1, attempts_if_busy=1)
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        why = r"no connection \(its certificate is not trusted: self-signed certificate\), 1 time\."
        with pytest.raises(ModelUnavailableError, match=why):
            call_each(prompt, url, "Schottky diode", retries=once)
        assert not server.asked
        monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
        answers = call_each(prompt, url, "Schottky diode", "Zener diode", retries=once)
        assert [answer.output for answer in answers] == [{"part_class": "diode"}] * 2


def test_what_is_trusted_is_read_once_until_the_environment_names_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = tls_context()
    assert tls_context() is usual
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    (trusted,) = tls_context().get_ca_certs()
    assert trusted["subject"] == trusted["issuer"]
    assert trusted not in usual.get_ca_certs()


# --- Redirects -----------------------------------------------------------------------------------


def test_a_moved_endpoint_gets_the_body_of_each_call(server: Scripted, prompt: Prompt) -> None:
    moved: Reply = (307, {"Location": "/v2/chat/completions"}, {})
    server.replies[:] = [moved, GOOD, moved, GOOD]
    call_each(prompt, f"{server.url}/v1", "Schottky diode", "Zener diode")
    assert [asked.path.split("/")[1] for asked in server.asked] == ["v1", "v2", "v1", "v2"]
    for before, after in zip(server.asked[::2], server.asked[1::2], strict=True):
        assert after.body == before.body
        assert after.headers["authorization"] == f"Bearer {KEY}"
    assert "Zener diode" in json.dumps(server.asked[3].body)


def test_another_host_is_not_given_the_key(server: Scripted, prompt: Prompt) -> None:
    with scripted(GOOD) as other:
        server.replies[:] = [(308, {"Location": f"{other.url}/v1/chat/completions"}, {})]
        (answer,) = call_each(prompt, f"{server.url}/v1", "Schottky diode")
        assert answer.output == {"part_class": "diode"}
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert "authorization" not in other.asked[0].headers
        assert other.asked[0].headers["host"] == other.url.removeprefix("http://")


def test_a_user_in_the_address_of_a_redirect_is_sent_to_nobody(
    server: Scripted, prompt: Prompt
) -> None:
    with scripted(GOOD) as other:
        address = other.url.replace("http://", "http://user:word@")
        server.replies[:] = [(307, {"Location": f"{address}/v1/chat/completions"}, {})]
        (answer,) = call_each(prompt, f"{server.url}/v1", "Schottky diode")
        assert answer.output == {"part_class": "diode"}
        assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize("location", ["/v1/chat/completions", "gopher://host/", "http://[::1"])
def test_a_redirect_that_leads_nowhere_is_no_connection(
    server: Scripted, prompt: Prompt, location: str
) -> None:
    server.replies[:] = [(307, {"Location": location}, {})]
    once = Retries(attempts=1, attempts_if_busy=1)
    with pytest.raises(ModelUnavailableError, match=r"no connection, 1 time\."):
        call_each(prompt, f"{server.url}/v1", "Schottky diode", retries=once)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_to_a_page_is_not_followed_and_says_what_to_correct(
    server: Scripted, prompt: Prompt, status: int
) -> None:
    with scripted(GOOD) as other:
        address = f"{other.url}/sk-abcdefghijkl12345/v1/chat/completions"
        server.replies[:] = [(status, {"Location": f"{address}?token=word"}, {})]
        with pytest.raises(ModelUnavailableError) as caught:
            call_each(prompt, f"{server.url}/v1", "Schottky diode")
        where = f"{other.url}/…/v1/chat/completions"
        assert f"HTTP {status}, where a question cannot follow" in caught.value.message
        assert f"it leads to {where}, so correct base_url." in caught.value.message
        assert where not in caught.value.public_message
        assert other.asked == []
    assert len(server.asked) == 1


def test_a_redirect_to_no_address_is_a_refusal(server: Scripted, prompt: Prompt) -> None:
    server.replies[:] = [(307, {}, {"error": {"message": "moved"}})]
    with pytest.raises(ModelUnavailableError, match="HTTP 307: moved"):
        call_each(prompt, f"{server.url}/v1", "Schottky diode")


# --- Proxies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_the_environments_proxy_is_asked(
    server: Scripted, prompt: Prompt, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, server.url.replace("http://", "http://user:w%2Frd@"))
    call_each(prompt, "http://model.example/v1", "Schottky diode", "Zener diode")
    for asked in server.asked:
        assert asked.path == "http://model.example/v1/chat/completions"
        assert asked.headers["host"] == "model.example"
        assert asked.headers["proxy-authorization"] == "Basic dXNlcjp3L3Jk"


def test_a_host_that_needs_no_proxy_is_asked_itself(
    server: Scripted, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    call_each(prompt, f"{server.url}/v1", "Schottky diode")
    assert server.asked[0].path == "/v1/chat/completions"
