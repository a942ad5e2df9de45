"""What the local model's decoder holds answers to, as `docs/schemas.md` says it: the real model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import openai
import pytest
from openai.types.shared_params import ResponseFormatJSONSchema

from local_aws.output_schemas import constrained
from local_aws.weights import DEFAULT, fetch
from prompt_hub.llm.schema_support import LOCAL_MODEL, Treatment
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.schema import JsonObject

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    fetch(DEFAULT)
    state = tmp_path_factory.mktemp("model")
    command = [sys.executable, "-m", "local_aws.local_model", "serve", "--port", "0"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [*command, "--state", str(state)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        process.terminate()


def answer(client: openai.OpenAI, wanted: str, schema: JsonObject) -> str:
    """Ask for `wanted`, word for word, and hold the answer to `schema`."""
    system = "You repeat exactly the JSON that the user gives, character for character."
    response = client.chat.completions.create(
        model=DEFAULT.name,
        messages=[
            {"role": "system", "content": system},
            {"role": "user", "content": f"Repeat: {wanted}"},
        ],
        temperature=0,
        max_tokens=48,
        seed=7,
        response_format=cast(
            ResponseFormatJSONSchema,
            {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}},
        ),
    )
    return response.choices[0].message.content or ""


def of(part: object) -> JsonObject:
    return cast(
        JsonObject,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["a"],
            "properties": {"a": part},
        },
    )


EITHER = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
}
BY_PATTERN = {
    "type": "object",
    "patternProperties": {"^x": {"type": "integer"}},
    "additionalProperties": False,
    "minProperties": 1,
}


@pytest.mark.parametrize(
    ("word", "wanted", "schema"),
    [
        ("free pattern", '{"a": "xyz"}', of({"type": "string", "pattern": r"^\d{3}$"})),
        ("free pattern", '{"a": "123"}', of({"type": "string", "pattern": r"^\p{L}{3}$"})),
        ("number bound", '{"a": 99.5}', of({"type": "number", "minimum": 1, "maximum": 5})),
        ("integer bound", '{"a": 99}', of({"type": "integer", "exclusiveMaximum": 6})),
        ("multipleOf", '{"a": 7}', of({"type": "integer", "multipleOf": 5, "maximum": 90})),
        ("beside", '{"a": "abc"}', of({"type": "string", "allOf": [{"maxLength": 2}]})),
        ("beside", '{"c": "hello"}', EITHER),
        ("beside", '"hello"', EITHER),
        ("untyped", '{"a": 5}', of(True)),
        ("patternProperties", '{"abc": 5}', BY_PATTERN),
        ("format", '{"a": "hello"}', of({"type": "string", "format": "ipv4"})),
    ],
)
def test_the_decoder_keeps_what_the_table_says(
    client: openai.OpenAI, word: str, wanted: str, schema: JsonObject
) -> None:
    assert LOCAL_MODEL.treatment(word) is Treatment.KEPT
    value = json.loads(answer(client, wanted, schema))
    assert schema_problem(value, schema) is None, value


@pytest.mark.parametrize(
    ("word", "wanted", "part"),
    [
        (
            "uniqueItems",
            [1, 1],
            {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "maxItems": 2},
        ),
        ("not", "no", {"type": "string", "not": {"const": "no"}}),
        ("other format", "hello", {"type": "string", "format": "uri"}),
        (
            "contains",
            [1],
            {
                "type": "array",
                "items": {"type": "integer"},
                "maxItems": 2,
                "contains": {"const": 7},
            },
        ),
    ],
)
def test_what_it_ignores_costs_the_rest_of_the_schema_nothing(
    client: openai.OpenAI, word: str, wanted: object, part: JsonObject
) -> None:
    assert LOCAL_MODEL.treatment(word) is Treatment.IGNORED
    text = answer(client, json.dumps({"z": wanted, "a": wanted}), of(part))
    value = json.loads(text)
    assert value.keys() == {"a"}
    assert schema_problem(value, of({"type": part["type"]})) is None


def test_what_asks_for_no_schema_is_left_alone() -> None:
    request: dict[str, object] = {"messages": [], "response_format": {"type": "json_object"}}
    assert constrained(request) is request
    assert constrained({"messages": []}) == {"messages": []}
    broken: dict[str, object] = {"response_format": {"type": "json_schema", "json_schema": None}}
    assert constrained(broken) is broken
