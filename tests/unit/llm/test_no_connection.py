"""Why there is no connection is told, by either client, and never with an address."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.providers._no_connection import no_connection
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.retry import TransientError
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import call_once
from tests.unit.llm.servers import Scripted, scripted

SELF_SIGNED = Path(__file__).parents[2] / "fixtures" / "self_signed.pem"
NOBODY = "127.0.0.1:9"
OPENAI = {"provider": "openai", "model": "m", "api_key_env": "MODEL_KEY"}
CONVERSE = {"provider": "bedrock-converse", "model": "m", "region": "eu-west-1"}
BOTH = pytest.mark.parametrize("setting", [OPENAI, CONVERSE], ids=["aiohttp", "boto3"])


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("MODEL_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key-of-the-model")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def plain() -> Iterator[Scripted]:
    with scripted((500, {}, {})) as server:
        yield server


def why(prompt: Prompt, setting: Mapping[str, object], base_url: str) -> str:
    """What is said of a call that gets no connection."""
    with pytest.raises(ModelUnavailableError) as caught:
        call_once(prompt, {**setting, "base_url": base_url})
    message = caught.value.message
    assert "127.0.0." not in message
    return message.partition("no answer: ")[2].partition(", 6 times")[0]


@BOTH
def test_nobody_listens(prompt: Prompt, setting: Mapping[str, object]) -> None:
    assert why(prompt, setting, f"http://{NOBODY}") == "no connection (refused)"


@BOTH
def test_a_certificate_that_nobody_known_has_signed(
    prompt: Prompt, setting: Mapping[str, object]
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(SELF_SIGNED)
    with scripted((500, {}, {}), tls=tls) as server:
        said = why(prompt, setting, server.url)
    assert said == "no connection (its certificate is not trusted: self-signed certificate)"


@BOTH
def test_a_certificate_of_another_name_is_told_without_the_name(
    prompt: Prompt, setting: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a model in a house of one's own is nobody's business who calls the service."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(SELF_SIGNED)
    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(SELF_SIGNED))
    with scripted((500, {}, {}), tls=tls, host="127.0.0.2") as server:
        said = why(prompt, setting, server.url)
    assert said == "no connection (its certificate is for another name)"


@BOTH
def test_tls_is_spoken_to_a_server_without(
    prompt: Prompt, plain: Scripted, setting: Mapping[str, object]
) -> None:
    said = why(prompt, setting, plain.url.replace("http://", "https://"))
    # OpenSSL 3.2 has other words for it.
    assert said in {
        "no connection (TLS: wrong version number)",
        "no connection (TLS: record layer failure)",
    }


@BOTH
def test_the_proxy_is_what_cannot_be_reached(
    prompt: Prompt, setting: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{NOBODY}")
    said = why(prompt, setting, "https://model.example")
    assert said == "no connection (to its proxy: refused)"


def test_the_proxy_is_what_refuses(
    prompt: Prompt, plain: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", plain.url)
    said = why(prompt, OPENAI, "https://model.example")
    assert said == "no connection (its proxy answered HTTP 501)"


@pytest.mark.parametrize("scheme", ["socks5h", "socks5"])
@BOTH
def test_a_proxy_that_speaks_socks_is_refused_at_once(
    prompt: Prompt,
    plain: Scripted,
    setting: dict[str, object],
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", plain.url.replace("http://", f"{scheme}://"))
    with pytest.raises(PromptHubError, match="is a SOCKS proxy") as caught:
        call_once(prompt, {**setting, "base_url": "https://model.example"})
    assert caught.value.exit_code is ExitCode.USAGE
    assert "127.0.0." not in str(caught.value)
    assert not plain.asked
    # Whoever is asked without it is not held up by it.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert why(prompt, setting, f"http://{NOBODY}") == "no connection (refused)"


@pytest.mark.parametrize(
    ("proxy", "kind"), [("socks5h", "a SOCKS proxy"), ("gopher", "no HTTP proxy")]
)
def test_a_batch_through_a_proxy_that_speaks_no_http_is_refused_at_once(
    proxy: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{proxy}://{NOBODY}")
    model = ModelConfig.model_validate({**OPENAI, "alias": "a", "batch_price_factor": 1})

    async def state(model: ModelConfig) -> None:
        support = provider_of("openai").batches(model)
        assert support is not None
        batches = support.connect()
        try:
            await batches.state(model, "batch_1")
        finally:
            await batches.close()

    with pytest.raises(PromptHubError, match=kind):
        asyncio.run(state(model))
    if proxy == "socks5h":
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(TransientError, match="refused"):
            asyncio.run(state(model.model_copy(update={"base_url": f"http://{NOBODY}/v1"})))


def test_a_proxy_of_a_scheme_that_nobody_knows_is_a_sentence(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"gopher://{NOBODY}")
    with pytest.raises(PromptHubError, match="no HTTP proxy"):
        call_once(prompt, {**OPENAI, "base_url": "http://model.example"})


def test_the_cause_is_found_however_a_library_keeps_it() -> None:
    try:
        try:
            raise socket.gaierror(socket.EAI_NONAME, "no such host: model.example")
        except OSError as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as error:
        wrapped = error
    assert no_connection(wrapped).reason == "no connection (its name was not found)"
    other = ssl.SSLCertVerificationError(1, "")
    other.verify_code = 62
    other.verify_message = "Hostname mismatch, certificate is not valid for 'model.example'."
    assert no_connection(other).reason == "no connection (its certificate is for another name)"
    assert no_connection(ValueError("?")).reason == "no connection"
    assert no_connection().reason == "no connection"
