"""An import ends with the entry that its model alias needs, and with how to name its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.cli.new_task import usual_alias
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


@pytest.mark.parametrize(
    ("model", "provider", "place"),
    [
        (
            "{configuration: {type: azure_openai, azure_deployment: '${env:DEPLOYMENT}'}}",
            AZURE,
            "'azure_deployment' of the model's configuration",
        ),
        ("{id: '${env:MODEL:small}', provider: azure}", AZURE, "'id' of the model"),
        ("'${env:MODEL}'", {"provider": "openai"}, "the model"),
    ],
)
def test_a_model_that_is_a_variable_of_the_environment_is_named_with_the_alias(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    model: str,
    provider: dict[str, str],
    place: str,
) -> None:
    path = tmp_path / "a.prompty"
    path.write_text(f"---\nmodel: {model}\n---\nuser:\nHi\n", encoding="utf-8")
    assert workshop.take("fresh", str(path), "--json") == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    step = said["next"][0]
    entry, _ = json.JSONDecoder().raw_decode(step, step.index("{"))
    assert entry == {usual_alias(workshop.folder.repository): {**provider, "model": "…"}}
    assert workshop.folder.repository.draft("fresh").model.alias in entry
    why = "name the model or deployment where the alias is configured"
    assert f"a.prompty:2: {place}: {why}" in [note["said"] for note in said["notes"]]


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
