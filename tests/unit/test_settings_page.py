"""The page of settings and the schemas of its files are those of the code, and hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta

from docs.settings_page import settings_page
from docs.settings_schemas import CDK, MODELS, Json, cdk_schema, models_schema
from prompt_hub.validation.schemas import schema_text

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {CDK: cdk_schema(), MODELS: models_schema()}
CDK_JSON = json.loads((ROOT / "cdk.json").read_text("utf-8"))


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a schema describes, by the name of its type and its own."""
    for name, definition in schema["$defs"].items():
        for key, value in definition["properties"].items():
            yield f"{name}.{key}", value


KEYS = [
    pytest.param(name, {**value, "$defs": schema["$defs"]}, id=f"{file}-{name}")
    for file, schema in SCHEMAS.items()
    for name, value in keys(schema)
]


def test_the_page_is_that_of_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == settings_page(), "run `make docs`"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_those_of_the_settings(name: str) -> None:
    stored = (ROOT / "docs" / "schemas" / name).read_text("utf-8")
    assert stored == schema_text(SCHEMAS[name]), "run `make docs`"
    assert meta.is_valid(json.loads(stored))


@pytest.mark.parametrize(("name", "schema"), KEYS)
def test_an_editor_can_say_what_a_setting_is_for(name: str, schema: Json) -> None:
    assert schema.get("description"), name
    for example in schema.get("examples", ()):  # type: ignore[attr-defined]
        assert Draft202012Validator(schema).is_valid(example)


def test_every_example_of_the_page_is_a_right_value() -> None:
    by_key: dict[str, list[Draft202012Validator]] = {}
    for schema in SCHEMAS.values():
        for name, value in keys(schema):
            whole = Draft202012Validator({**value, "$defs": schema["$defs"]})
            by_key.setdefault(name.partition(".")[2], []).append(whole)
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    for cells in rows:
        ((key, value),) = json.loads(f"{{{cells[4].strip(' |`')}}}").items()
        assert cells[0] == f"| `{key}`"
        assert any(validator.is_valid(value) for validator in by_key[key]), cells


def test_what_we_ship_keeps_its_schema_and_says_so() -> None:
    assert (ROOT / CDK_JSON["$schema"]).resolve() == ROOT / "docs" / "schemas" / CDK
    assert Draft202012Validator(SCHEMAS[CDK]).is_valid(CDK_JSON)
    example = json.loads((ROOT / "docs" / "example_context.json").read_text("utf-8"))
    assert Draft202012Validator(SCHEMAS[CDK]).is_valid({"context": example})


def test_an_alias_of_cdk_json_takes_no_key_from_a_persons_machine() -> None:
    alias = {"provider": "openai", "model": "m", "api_key_env": "OPENAI_API_KEY"}
    assert Draft202012Validator(SCHEMAS[MODELS]).is_valid({"small": alias})
    settings = CDK_JSON["context"]["prompt-hub"]
    changed = {**settings, "models": {"small": alias}}
    assert not Draft202012Validator(SCHEMAS[CDK]).is_valid({"context": {"prompt-hub": changed}})
