"""Where a model answers is said by its alias; a variable of the shell does not move it silently."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from prompt_hub.evaluation.cache import cache_context
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers import _converse
from prompt_hub.llm.providers.registry import provider_of
from tests.unit.building import RepositoryFolder

ELSEWHERE = "http://127.0.0.1:9/v1"
OPENAI = ModelConfig(alias="a", provider="openai", model="m", api_key_env="MODEL_KEY")
BEDROCK = ModelConfig(alias="a", provider="bedrock", model="m", region="eu-west-1")
CONVERSE = ModelConfig(alias="a", provider="bedrock-converse", model="m", region="eu-west-1")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", "key-of-the-model")
    monkeypatch.setenv("OPENAI_BASE_URL", ELSEWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", ELSEWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ELSEWHERE)
    monkeypatch.delenv("AWS_BEDROCK_BASE_URL", raising=False)


def test_openai_is_asked_at_its_own_address_unless_the_alias_names_another() -> None:
    from prompt_hub.llm.providers._requests import SdkClient
    from prompt_hub.llm.providers.openai import _client

    async def address(model: ModelConfig) -> str:
        return (await SdkClient(model, _client, signed=False).form(b"{}")).url

    assert asyncio.run(address(OPENAI)) == "https://api.openai.com/v1/chat/completions"
    other = OPENAI.model_copy(update={"base_url": "http://model.example/v1"})
    assert asyncio.run(address(other)) == "http://model.example/v1/chat/completions"


def test_batches_go_to_the_same_address() -> None:
    support = provider_of("openai").batches(OPENAI)
    assert support is not None

    async def address() -> str:
        adapter: Any = support.connect()
        return str(adapter._client(OPENAI).base_url)

    assert asyncio.run(address()) == "https://api.openai.com/v1/"


def test_converse_is_asked_in_its_region_unless_the_alias_names_an_address() -> None:
    def address(model: ModelConfig) -> str:
        return cast(Any, _converse._connect(model)).meta.endpoint_url

    assert address(CONVERSE) == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    other = CONVERSE.model_copy(update={"base_url": "https://vpce.example"})
    assert address(other) == "https://vpce.example"


def test_bedrock_at_the_address_of_its_variable_is_another_endpoint(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = healthy.repository.candidate("part-class")
    models = (OPENAI, BEDROCK, CONVERSE)
    usual = [(model.endpoint, cache_context(prompt, model)) for model in models]
    monkeypatch.setenv("AWS_BEDROCK_BASE_URL", ELSEWHERE)
    moved = [(model.endpoint, cache_context(prompt, model)) for model in models]
    assert (moved[0], moved[2]) == (usual[0], usual[2])
    assert BEDROCK.endpoint == (ELSEWHERE, "eu-west-1", None)
    assert moved[1][1]["base_url"] == ELSEWHERE
    assert usual[1][1]["base_url"] is None
