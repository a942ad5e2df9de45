"""An import ends with the entry that its model alias needs, and with how to name its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.config import ModelAliases
from tests.unit.authoring.workshop import FIXTURES, Workshop

AZURE = {"provider": "azure-openai", "base_url": "https://NAME.openai.azure.com"}
PROMPTY = """---
model:
  configuration: {type: azure_openai, azure_deployment: mini}
---
user:
Hi
"""
MLFLOW = json.dumps(
    {
        "name": "a",
        "version": 1,
        "template": "Hi",
        "model_config": {"provider": "azure", "model_name": "mini"},
    }
)


def entry_and_key(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], path: Path
) -> tuple[object, str]:
    """Import a file, and return the entry for its alias and what is said behind it."""
    assert workshop.take("fresh", str(path), "--json") == ExitCode.OK
    step: str = json.loads(capsys.readouterr().out)["next"][0]
    return json.JSONDecoder().raw_decode(step, step.index("{"))[0], step.partition("}}")[2]


@pytest.mark.parametrize(
    ("name", "text"), [("a.prompty", PROMPTY), ("a.json", MLFLOW)], ids=["prompty", "mlflow"]
)
def test_a_deployment_of_azure_is_asked_as_azure_is(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    text: str,
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    entry, key = entry_and_key(workshop, capsys, tmp_path / name)
    assert entry == {"mini": {**AZURE, "model": "mini"}}
    keyed = {"mini": {**AZURE, "model": "mini", "api_key_env": "AZURE_OPENAI_API_KEY"}}
    ModelAliases.parse(json.dumps(keyed))
    assert '"api_key_env"' in key
    assert '"secret" in cdk.json' in key


def test_the_key_of_an_alias_is_named_with_where_it_is_told_of(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, key = entry_and_key(workshop, capsys, FIXTURES / "openai_prompt.json")
    assert entry == {"gpt-4-1-mini": {"provider": "openai", "model": "gpt-4.1-mini"}}
    assert key == (
        '; add its key, which only a local model goes without: "api_key_env": "OPENAI_API_KEY" on'
        ' your machine, "secret" in cdk.json (docs/model-calls.md#the-key-of-a-provider)'
    )


def test_the_hint_where_no_model_is_configured_names_a_key() -> None:
    with pytest.raises(PromptHubError) as caught:
        ModelAliases.from_environment({})
    hint = caught.value.hint or ""
    entry, _ = json.JSONDecoder().raw_decode(hint, hint.index("{"))
    assert entry["catalogue-pinned"]["api_key_env"] == "OPENAI_API_KEY"
