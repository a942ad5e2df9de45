"""The schemas that editors read are those of the models, and the repository's files keep them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator

from prompt_hub.core.errors import PromptHubError
from prompt_hub.validation.rules_page import rules_page
from prompt_hub.validation.schemas import FOLDER, schemas, write_schemas
from tests.unit.building import RepositoryFolder

ROOT = Path(__file__).resolve().parents[3]
PROMPTS = ROOT / "prompts"
MODELINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")


def parsed(path: Path) -> list[object]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if path.suffix == ".json":
        return [json.loads(text)]
    return [yaml.load(text, Loader=yaml.CSafeLoader)]


def files() -> dict[Path, str]:
    """Every file of the repository whose format has a schema, and the schema's name."""
    found = dict.fromkeys((PROMPTS / "01-examples").glob("*.jsonl"), "example")
    found |= dict.fromkeys((PROMPTS / "04-evals").glob("*/*.*.json"), "evaluation")
    for path in (*PROMPTS.glob("0[02]-*/*.yaml"), *PROMPTS.glob("99-archive/*/*.yaml")):
        found[path] = "prompt"
    found |= dict.fromkeys((PROMPTS / "03-metadata").glob("*.yaml"), "metadata")
    return {**found, ROOT / "prompt_registry.yaml": "registry"}


def test_the_schemas_in_the_repository_are_those_of_the_models() -> None:
    stored = {path.name: path.read_text("utf-8") for path in (PROMPTS / FOLDER).iterdir()}
    assert stored == schemas(), "run `make docs`"


@pytest.mark.shipped
def test_the_page_of_rules_is_that_of_the_rules() -> None:
    page = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert page == rules_page(), "run `make docs`"


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one of the schemas; making them anew takes a third of a second."""
    made: dict[str, Any] = json.loads(schemas()[f"{name}.schema.json"])
    return made


@pytest.mark.shipped
@pytest.mark.parametrize(
    ("path", "name"), files().items(), ids=lambda item: getattr(item, "name", item)
)
def test_every_file_keeps_its_schema(path: Path, name: str) -> None:
    validator = Draft202012Validator(schema(name))
    values = parsed(path)
    assert values
    for value in values:
        assert [error.message for error in validator.iter_errors(value)] == []
        assert isinstance(value, dict)
        assert not validator.is_valid({**value, "colour": "red"})


@pytest.mark.shipped
@pytest.mark.parametrize("path", [file for file in files() if file.suffix == ".yaml"], ids=str)
def test_every_yaml_file_names_its_schema_to_editors(path: Path) -> None:
    match = MODELINE.match(path.read_text("utf-8"))
    assert match, f"{path} does not name its schema in its first line"
    assert (path.parent / match[1]).resolve() == PROMPTS / FOLDER / f"{files()[path]}.schema.json"


def test_what_promotion_writes_names_its_schema(healthy: RepositoryFolder) -> None:
    write_schemas(healthy.repository)
    for name in (
        "prompts/02-production/part-class.yaml",
        "prompts/99-archive/part-class/1.0.0.yaml",
        "prompt_registry.yaml",
    ):
        match = MODELINE.match(healthy.read(name))
        assert match
        assert (healthy.path(name).parent / match[1]).is_file()


def test_schemas_are_written_through_no_link(healthy: RepositoryFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    healthy.path(f"prompts/{FOLDER}").symlink_to(outside)
    with pytest.raises(PromptHubError, match="is behind a symbolic link"):
        write_schemas(healthy.repository)
    assert [*outside.iterdir()] == []


@pytest.mark.parametrize("name", ["prompt", "metadata", "example", "registry"])
def test_an_editor_can_say_what_every_key_is_for(name: str) -> None:
    whole = schema(name)
    described = {whole["title"]: whole, **whole.get("$defs", {})}
    for title, definition in described.items():
        for key, value in definition.get("properties", {}).items():
            assert value.get("description"), f"{title}.{key}"
