"""What an editor marks by a schema, our loader refuses; and of types it marks all that is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from pydantic import ValidationError

from cdk_app.settings import Settings
from docs.settings_schemas import cdk_schema, models_schema
from prompt_hub.llm.config import ModelConfig
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.validation.schemas import schema_of

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[3]
PROMPTS = ROOT / "prompts"
SAMPLES = 150

Path_ = tuple[str | int, ...]
Load = Callable[[Any], object]

OF_TYPES = {"missing", "extra_forbidden", "literal_error", "int_from_float"}
"""Errors of pydantic about the type of a value, besides those that end in `_type`."""
VALUES = st.one_of(
    st.sampled_from([None, True, 0, 7, -1, 0.5, "", "text", [], {}, ["text"], [7], {"text": 7}]),
    st.dictionaries(st.sampled_from(["name", "type", "usd", "text"]), st.just("text"), max_size=2),
)


def load_aliases(entries: Any) -> None:
    for alias, entry in entries.items():
        ModelConfig.model_validate({"alias": alias, **entry})


def load_settings(context: Any) -> None:
    ours = context["context"]["prompt-hub"]
    Settings.model_validate_json(json.dumps(ours), context={"region": ours.get("region")})


def by(model: Any) -> Load:
    return lambda value: model.model_validate(value, by_alias=True, by_name=False)


def of_yaml(path: str) -> Any:
    return yaml.load((PROMPTS / path).read_text("utf-8"), Loader=yaml.CSafeLoader)


@cache
def kinds() -> dict[str, tuple[Draft202012Validator, Load, Any]]:
    """Of each kind of file its schema, what loads it, and one of it."""
    context = json.loads((ROOT / "docs" / "example_context.json").read_text("utf-8"))
    example = (PROMPTS / "01-examples" / "brand.jsonl").read_text("utf-8").splitlines()[0]
    aliases = context["prompt-hub"]["models"]
    aliases = {
        alias: {**entry, "region": "us-east-1", "batch_from": 10}
        for alias, entry in aliases.items()
    }
    found = {
        "prompt": (schema_of(Prompt), by(Prompt), of_yaml("00-templates/brand.yaml")),
        "metadata": (
            schema_of(ScoringMetadata),
            by(ScoringMetadata),
            of_yaml("03-metadata/brand.yaml"),
        ),
        "example": (schema_of(Example), by(Example), json.loads(example)),
        "cdk.json": (
            cdk_schema(),
            load_settings,
            {"context": {"prompt-hub": context["prompt-hub"]}},
        ),
        "models.json": (models_schema(), load_aliases, aliases),
    }
    return {
        name: (Draft202012Validator(schema), load, value)
        for name, (schema, load, value) in found.items()
    }


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The way to every value inside, and to a key of each object that is not there."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))
    if isinstance(value, dict):
        yield (*path, "colour")


def changed(value: Any, path: Path_, new: Any) -> Any:
    value = copy.deepcopy(value)
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return value


def refusals(load: Load, value: Any) -> set[str] | None:
    """The kinds of what the loader finds wrong; None where it takes the value."""
    try:
        load(value)
    except ValidationError as error:
        return {detail["type"] for detail in error.errors(include_url=False)}
    except (AttributeError, TypeError, KeyError):
        # Above what pydantic reads.
        return {"dict_type"}
    return None


@pytest.mark.parametrize("name", kinds())
def test_what_is_right_is_marked_by_neither(name: str) -> None:
    validator, load, value = kinds()[name]
    assert refusals(load, value) is None
    assert [error.message for error in validator.iter_errors(value)] == []


@pytest.mark.parametrize("name", kinds())
@settings(max_examples=SAMPLES)
@given(data=st.data())
def test_schema_and_loader_agree_about_types(name: str, data: st.DataObject) -> None:
    validator, load, value = kinds()[name]
    path = data.draw(st.sampled_from(list(places(value))), label="place")
    mutant = changed(value, path, data.draw(VALUES, label="value"))
    found = refusals(load, mutant)
    if not validator.is_valid(mutant):
        assert found is not None, "an editor marks what is right"
    elif found is not None:
        assert not {kind for kind in found if kind in OF_TYPES or kind.endswith("_type")}
