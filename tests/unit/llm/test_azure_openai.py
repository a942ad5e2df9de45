"""Azure OpenAI: the SDK against a server that keeps the documented contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.response import Answer
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import call_once
from tests.unit.llm.servers import Reply, Scripted, scripted

GOOD: Reply = (
    200,
    {"apim-request-id": "7"},
    {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1764200000,
        "model": "gpt-4.1-mini-2025-04-14",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
                "message": {"role": "assistant", "content": '{"part_class": "diode"}'},
            }
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    },
)
FILTERED: Reply = (
    400,
    {},
    {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's"
            " content management policy. Please modify your prompt and retry.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    },
)
DENIED: Reply = (
    401,
    {},
    {
        "error": {
            "code": "401",
            "message": "Access denied due to invalid subscription key or wrong API endpoint.",
        }
    },
)
BUSY: Reply = (
    429,
    {"retry-after-ms": "1"},
    {"error": {"code": "429", "message": "Requests have exceeded the call rate limit."}},
)


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setenv("AZURE_KEY", "a-key-of-azure")
    monkeypatch.delenv("AZURE_OPENAI_AD_TOKEN", raising=False)
    with scripted(GOOD) as script:
        yield script


def call(server: Scripted, prompt: Prompt, *replies: Reply, **settings: object) -> Answer:
    server.replies[:] = replies or [GOOD]
    setting = {
        "provider": "azure-openai",
        "model": "catalogue-mini",
        "base_url": f"{server.url}/",
        "api_key_env": "AZURE_KEY",
        **settings,
    }
    return call_once(prompt, setting)


@pytest.mark.parametrize("version", [None, "2025-01-01-preview"])
def test_a_deployment_is_asked_with_its_version_and_key(
    server: Scripted, prompt: Prompt, version: str | None
) -> None:
    answer = call(server, prompt, **({"api_version": version} if version else {}))
    assert answer.output == {"part_class": "diode"}
    assert answer.response.model == "gpt-4.1-mini-2025-04-14"
    (asked,) = server.asked
    assert asked.path == (
        f"/openai/deployments/catalogue-mini/chat/completions?api-version={version or '2024-10-21'}"
    )
    assert asked.headers["api-key"] == "a-key-of-azure"
    assert "authorization" not in asked.headers
    assert asked.body["response_format"]["json_schema"]["schema"] == prompt.output  # type: ignore[index]


def test_another_host_is_not_given_the_key(server: Scripted, prompt: Prompt) -> None:
    with scripted(GOOD) as other:
        moved: Reply = (307, {"Location": f"{other.url}/openai/chat/completions"}, {})
        assert call(server, prompt, moved).output == {"part_class": "diode"}
    assert server.asked[0].headers["api-key"] == "a-key-of-azure"
    assert "api-key" not in other.asked[0].headers


def test_a_deployment_that_has_moved_on_its_host_is_given_the_key(
    server: Scripted, prompt: Prompt
) -> None:
    moved: Reply = (307, {"Location": "/openai/chat/completions"}, {})
    assert call(server, prompt, moved, GOOD).output == {"part_class": "diode"}
    assert server.asked[1].headers["api-key"] == "a-key-of-azure"


def test_a_busy_deployment_is_asked_again(server: Scripted, prompt: Prompt) -> None:
    assert call(server, prompt, BUSY, BUSY, GOOD).response.usage.attempts == 3


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            DENIED,
            "HTTP 401: Access denied due to invalid subscription key or wrong API endpoint\\.",
        ),
    ],
)
def test_a_refusal_is_told_in_azures_own_words(
    server: Scripted, prompt: Prompt, reply: Reply, says: str
) -> None:
    with pytest.raises(ModelUnavailableError, match=says):
        call(server, prompt, reply)
    assert len(server.asked) == 1


def test_a_question_that_the_filter_stops_is_an_answer_worth_nothing(
    server: Scripted, prompt: Prompt
) -> None:
    answer = call(server, prompt, FILTERED)
    assert answer.problem == "stopped by the provider's content filter"
    assert answer.response.usage.tokens == 0
    assert len(server.asked) == 1


def test_reasoning_is_asked_for_as_openai_takes_it(server: Scripted, prompt: Prompt) -> None:
    reasoning = {"effort": "low", "tokens": 1024}
    with pytest.raises(
        (ValueError, PromptHubError), match="needs an api_version, 2024-12-01-preview or later"
    ):
        call(server, prompt, reasoning=reasoning)
    call(server, prompt, reasoning=reasoning, api_version="2025-04-01-preview")
    (asked,) = server.asked
    assert asked.body["reasoning_effort"] == "low"
    assert asked.body["max_completion_tokens"] == prompt.model.parameters["max_tokens"] + 1024
    assert "temperature" not in asked.body


def test_an_alias_without_address_or_key_is_refused() -> None:
    with pytest.raises(ValueError, match="azure-openai needs a base_url"):
        ModelConfig(alias="a", provider="azure-openai", model="d", secret="s")
    with pytest.raises(ValueError, match="needs a secret, or on your own machine an api_key_"):
        ModelConfig(alias="a", provider="azure-openai", model="d", base_url="https://x")


def test_the_role_may_read_the_key() -> None:
    model = ModelConfig(
        alias="a", provider="azure-openai", model="d", base_url="https://x", secret="prompt-hub/az"
    )
    (statement,) = provider_of("azure-openai").iam_statements(model)
    assert statement.actions == ("secretsmanager:GetSecretValue",)
    assert statement.resources[0].endswith(":secret:prompt-hub/az-??????")
