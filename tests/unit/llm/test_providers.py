"""A provider is one file: the registry finds it, and settings, calls and permissions follow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.field_docstrings import field_docstrings
from prompt_hub.llm import providers
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig, Price, Reasoning
from prompt_hub.llm.providers.base import PROVIDER_KEYS
from prompt_hub.llm.providers.registry import all_providers, provider_of
from prompt_hub.llm.response import Answer
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import FIELDS

ROOT = Path(__file__).resolve().parents[3]

PARROT = '''
"""A provider that answers with what its alias says."""

from prompt_hub.llm.providers.base import IamStatement, Provider
from prompt_hub.llm.response import ModelResponse, Usage


class _Adapter:
    async def complete(self, model, messages, parameters, schema):
        return ModelResponse(
            text=model.model,
            model=self.__module__,
            usage=Usage(input_tokens=1, output_tokens=1),
        )

    async def close(self):
        return


class Parrot(Provider):
    name = "parrot"
    telemetry_name = "parrot"
    required_keys = frozenset({"region"})

    def connect(self):
        return _Adapter()

    def iam_statements(self, model):
        bird = f"arn:{{partition}}:parrot:{model.region}:{{account}}:bird/grey"
        return (IamStatement(actions=("parrot:Speak",), resources=(bird,)),)


PROVIDER = Parrot()
'''


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one file that a newcomer writes, beside those that are there."""
    (tmp_path / "parrot.py").write_text(PARROT, encoding="utf-8")
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
    all_providers.cache_clear()
    yield
    all_providers.cache_clear()
    sys.modules.pop(f"{providers.__name__}.parrot", None)


def test_the_providers_are_known_by_their_names() -> None:
    assert {"azure-openai", "bedrock", "bedrock-converse", "openai"} <= all_providers().keys()
    assert list(all_providers()) == sorted(all_providers())
    for name, provider in all_providers().items():
        assert provider.name == name
        assert provider.telemetry_name
        assert provider.required_keys | provider.optional_keys <= set(PROVIDER_KEYS)


@pytest.mark.usefixtures("parrot")
def test_a_new_provider_is_one_file(healthy: RepositoryFolder) -> None:
    prompt = healthy.repository.candidate("part-class")
    entry = {"provider": "parrot", "model": '{"part_class":"diode"}', "region": "eu-west-1"}
    aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": entry}))

    async def once() -> Answer:
        async with ModelClient(aliases) as client:
            return await client.call(prompt, FIELDS)

    answer = asyncio.run(once())
    assert answer.output == {"part_class": "diode"}
    assert answer.response.model == "prompt_hub.llm.providers.parrot"
    (statement,) = provider_of("parrot").iam_statements(aliases.resolve("catalogue-pinned"))
    assert statement.actions == ("parrot:Speak",)
    with pytest.raises(PromptHubError, match="a model of parrot needs a region"):
        ModelAliases.parse('{"a": {"provider": "parrot", "model": "x"}}')
    with pytest.raises(PromptHubError, match="a model of parrot takes no secret"):
        ModelAliases.parse(
            '{"a": {"provider": "parrot", "model": "x", "region": "eu-west-1", "secret": "s"}}'
        )


@pytest.mark.usefixtures("parrot")
def test_two_providers_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cockatoo.py").write_text(PARROT, encoding="utf-8")
    all_providers.cache_clear()
    with pytest.raises(ValueError, match="two providers are called 'parrot'"):
        all_providers()


@pytest.mark.processes
def test_settings_and_permissions_load_no_sdk() -> None:
    script = (
        "import sys\n"
        "from prompt_hub.llm.config import ModelAliases\n"
        "from prompt_hub.llm.providers.registry import all_providers\n"
        "entry = {'provider': 'bedrock', 'model': 'm', 'region': 'eu-west-1'}\n"
        "import json; (model,) = ModelAliases.parse(json.dumps({'a': entry}))\n"
        "for provider in all_providers().values(): provider.iam_statements(model)\n"
        "heavy = set(sys.modules) & {'asyncio', 'openai', 'httpx2', 'botocore', 'jsonschema_rs'}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "pipeline_image",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_a_newer_service_says_of_its_models_is_not_called_a_setting_of_this_machine() -> None:
    models = '{"a": {"provider": "openai", "model": "x", "fallback": "b"}}'
    with pytest.raises(PromptHubError, match="the service of dev says of its models") as caught:
        ModelAliases.of_service({"PROMPT_HUB_MODELS": models}, "dev")
    assert "is wrong at a.fallback: there is no such key" in caught.value.message
    assert caught.value.hint.startswith("Bring this clone and what runs there to the same release")


def test_what_is_written_is_read_again_with_the_same_meaning() -> None:
    model = ModelConfig(
        alias="a",
        provider="bedrock",
        model="openai.gpt-oss-20b-1:0",
        region="eu-west-1",
        price_per_million=Price(input=0.07, output=0.3),
        reasoning=Reasoning(effort="low", tokens=2048),
        concurrency=8,
        requests_per_minute=100,
    )
    (again,) = ModelAliases.parse(ModelAliases({"a": model}).to_json())
    assert again == model
    assert "tokens_per_minute" not in model.to_entry()


@pytest.mark.parametrize("price", ["Infinity", "NaN", "1e308", "-1"])
@pytest.mark.parametrize("of", ["input", "output"])
def test_a_price_of_which_no_cost_can_be_said_is_refused(of: str, price: str) -> None:
    prices = {"input": "1", "output": "1"} | {of: price}
    said = ", ".join(f'"{name}": {number}' for name, number in prices.items())
    alias = f'{{"provider": "openai", "model": "m", "price_per_million": {{{said}}}}}'
    with pytest.raises(PromptHubError, match=rf"price_per_million\.{of}"):
        ModelAliases.parse(f'{{"a": {alias}}}')


@pytest.mark.shipped
def test_the_docs_have_a_paragraph_for_every_provider() -> None:
    text = (ROOT / "docs" / "model-calls.md").read_text(encoding="utf-8")
    for name in all_providers():
        assert f"### `{name}`" in text


def test_every_effort_of_reasoning_is_named_where_it_is_described() -> None:
    field = Reasoning.model_fields["effort"]
    for effort in get_args(field.annotation):
        assert effort in field_docstrings(Reasoning)["effort"]
