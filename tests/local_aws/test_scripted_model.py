"""The model without weights keeps every output schema, and says the same to the same request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import jsonschema_rs
import pytest
import yaml

from local_aws.scripted_model import ScriptedModel

Json = dict[str, object]
PROMPTS = Path(__file__).parents[2] / "prompts"
BY_HAND: Json = {
    "type": "object",
    "properties": {
        "class": {"enum": ["a", "b", "c"]},
        "unit": {"const": "mm"},
        "name": {"type": ["string", "null"], "maxLength": 3},
        "parts": {"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 5}},
        "either": {"anyOf": [{"type": "boolean"}, {"type": "number", "maximum": 1}]},
        "nothing": {"type": "null"},
    },
    "required": ["class", "unit", "name", "parts", "either", "nothing"],
    "additionalProperties": False,
}
SHIPPED = [
    yaml.safe_load(path.read_text(encoding="utf-8"))["output"]
    for path in sorted((PROMPTS / "02-production").glob("*.yaml"))
]


def asked(content: str, schema: Json) -> Json:
    return {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": content}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
    }


def text_of(request: Json) -> str:
    status, body = ScriptedModel().complete(request, lambda: True)
    assert status == 200
    choices = cast(list[dict[str, Json]], body["choices"])
    return str(choices[0]["message"]["content"])


@pytest.mark.parametrize("schema", [BY_HAND, *SHIPPED])
def test_every_answer_keeps_the_schema_and_is_repeated(schema: Json) -> None:
    contents = [f"Chip resistor {number} kΩ 0603" for number in range(200)]
    texts = [text_of(asked(content, schema)) for content in contents]
    for text in texts:
        jsonschema_rs.validate(schema, json.loads(text))
    assert texts == [text_of(asked(content, schema)) for content in contents]
    assert len(set(texts)) > 1


def test_without_a_schema_it_says_a_word() -> None:
    assert text_of({"messages": [{"role": "user", "content": "one two"}]}) in {"one", "two"}
