"""In which form an output schema is sent, and how its null is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from prompt_hub.core.generated_page import replace_generated_part
from prompt_hub.llm import schemas_page
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.response import Answer
from prompt_hub.llm.retry import Retries
from prompt_hub.llm.schema_support import (
    AZURE_OPENAI,
    BEDROCK,
    BEDROCK_CONVERSE,
    OPENAI,
    OPENAI_COMPATIBLE,
    SUPPORTS,
    WORDS,
    treated_words,
)
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.contracts import KEYWORDS
from prompt_hub.repository.nulls import takes_null, without_nulls
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import RepositoryFolder
from tests.unit.llm.servers import Reply, scripted


def of(*needed: str, **parts: JsonValue) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(needed),
        "properties": parts,
    }


CLASS: JsonObject = {"type": "string", "enum": ["resistor", "capacitor"]}
OPTIONAL = of("part_class", part_class=CLASS, note={"type": "string"})


def refusals(schema: JsonValue) -> Iterator[str]:
    """Say what OpenAI's strict mode refuses; written from its page, not from the product."""
    if not isinstance(schema, dict):
        yield f"{schema!r} is not an object"
        return
    if not {"type", "anyOf", "$ref"} & schema.keys():
        yield "schema must have a 'type' key"
    allowed = {
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const"),
        *("anyOf", "$ref", "$defs", "title", "description", "pattern", "format", "minLength"),
        *("maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "minItems", "maxItems"),
    }
    yield from (f"{word!r} is not permitted" for word in schema.keys() - allowed)
    if "$ref" in schema and len(schema) > 1:
        yield f"$ref cannot have keywords {schema.keys() - {'$ref'}}"
    declared = schema.get("properties", {})
    assert isinstance(declared, dict)
    if "object" in str(schema.get("type")):
        if schema.get("additionalProperties") is not False:
            yield "'additionalProperties' is required to be supplied and to be false"
        if schema.get("required") != list(declared):
            yield "'required' is required to be an array including every key in properties"
    definitions = schema.get("$defs", {})
    assert isinstance(definitions, dict)
    choices = schema.get("anyOf", [])
    assert isinstance(choices, list)
    for inner in (*declared.values(), *definitions.values(), *choices):
        yield from refusals(inner)
    if "items" in schema:
        yield from refusals(schema["items"])


STRICT: list[JsonObject] = [
    OPTIONAL,
    {"type": "object", "properties": {"a": {"type": "string"}}},
    of(a={"enum": ["x", 1, 1.5, True, None]}, b={"const": "q"}, c={"type": ["integer", "null"]}),
    of(tags={"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 2}),
    of("size", size=of(unit=CLASS, value={"type": "number", "default": 1})),
    {**of(a={"$ref": "#/$defs/t", "description": "A."}), "$defs": {"t": of(b={"type": "null"})}},
    {**of(a={"$ref": "#/$defs/t"}), "$defs": {"t": {"type": "string", "format": "uri"}}},
    {**of("a", a={"$ref": "#/$defs/t", "not": {"const": "x"}}), "$defs": {"t": CLASS}},
    {**of(a={"type": "string"}, b=CLASS), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    of(a={"oneOf": [{"type": "string"}, of(b={"type": "string", "x-unit": "V"})]}),
    of(a={"type": "string", "allOf": [{"maxLength": 2}], "not": {"const": "no"}}),
    {**of("a", a=CLASS), "if": {"properties": {"a": {"const": "x"}}}, "then": {"minProperties": 1}},
    {**of(a={"$ref": "#"}), "$schema": "https://json-schema.org/draft/2020-12/schema"},
]


@pytest.mark.parametrize("schema", STRICT, ids=range(len(STRICT)))
def test_what_is_sent_as_strict_is_what_strict_takes(schema: JsonObject) -> None:
    before = json.dumps(schema)
    for support in (OPENAI, AZURE_OPENAI, OPENAI_COMPATIBLE):
        sent = sent_schema(schema, support)
        assert sent.strict, sent.reason
        assert list(refusals(sent.schema)) == []
    assert json.dumps(schema) == before


def test_a_property_that_may_be_left_out_may_be_null_instead() -> None:
    sent = sent_schema(OPTIONAL, OPENAI)
    assert sent.schema == {
        **OPTIONAL,
        "required": ["part_class", "note"],
        "properties": {"part_class": CLASS, "note": {"type": ["string", "null"]}},
    }


def test_what_strict_refuses_is_told() -> None:
    tags: JsonObject = {"type": "array", "items": {"type": "string"}, "description": "Tags."}
    schema = of("tags", tags={**tags, "uniqueItems": True, "maxItems": 3})
    told = "Tags. Keep to this, too: uniqueItems true"
    assert sent_schema(schema, OPENAI).schema == of(
        "tags", tags={**tags, "maxItems": 3, "description": f"{told}."}
    )
    assert sent_schema(schema, AZURE_OPENAI).schema == of(
        "tags", tags={**tags, "description": f"{told}; maxItems 3."}
    )


def test_what_is_strict_already_is_sent_as_it_is() -> None:
    schema = of("b", "a", b=CLASS, a={"type": "array", "items": of("x", x={"type": "integer"})})
    assert json.dumps(sent_schema(schema, OPENAI).schema) == json.dumps(schema)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (of("a", a=True), "a schema that is true"),
        (of("a", a={}), "a value of any type"),
        (of("a", a={"type": "object"}), "an object of any properties"),
        ({**of(a=CLASS), "additionalProperties": True}, "the keyword 'additionalProperties'"),
        (of("a", a={"type": "object", "patternProperties": {}}), "the keyword 'patternProperties'"),
        (of("a", a={"allOf": [CLASS]}), "the keyword 'allOf'"),
        (of("a", a={"enum": [{"k": 1}]}), "an object or array among the values of an enum"),
        (of("a", a={"enum": [f"v{i}" for i in range(1001)]}), "more than 1000 values in enums"),
        (of("a", a={"$anchor": "a", **CLASS}), "the keyword '$anchor'"),
        (of("a", a={"$ref": "#/$defs/t", "maxLength": 1}), "a $ref beside other keywords"),
    ],
)
def test_what_strict_cannot_say_is_sent_whole_and_not_strict(
    schema: JsonObject, reason: str
) -> None:
    sent = sent_schema(schema, OPENAI)
    assert (sent.strict, sent.reason) == (False, reason)
    whole = json.dumps(schema).replace('"properties": {"a": true}', '"properties": {"a": {}}')
    assert json.dumps(sent.schema) == whole


def test_objects_too_deep_for_azure_are_not_too_deep_for_openai() -> None:
    schema = of("a", a=CLASS)
    for _ in range(6):
        schema = of("a", a=schema)
    assert sent_schema(schema, OPENAI).strict
    assert sent_schema(schema, AZURE_OPENAI).reason == "objects more than 5 deep in one another"


def test_bedrock_refuses_a_schema_that_refers_to_itself() -> None:
    schema: JsonObject = {
        **of(a={"$ref": "#/$defs/t"}),
        "$defs": {"t": of(b={"$ref": "#/$defs/u"}), "u": of(c={"$ref": "#/$defs/t"})},
    }
    assert sent_schema(schema, OPENAI).strict
    assert sent_schema(schema, BEDROCK).reason == "the keyword '$ref'"
    plain: JsonObject = {**of(a={"$ref": "#/$defs/t"}), "$defs": {"t": CLASS}}
    assert sent_schema(plain, BEDROCK).strict


def test_a_tool_keeps_every_word_but_combinations_of_the_whole() -> None:
    schema: JsonObject = {**OPTIONAL, "anyOf": [{"required": ["note"]}]}
    assert sent_schema(schema, BEDROCK_CONVERSE).schema == {
        **OPTIONAL,
        "description": 'Keep to this, too: anyOf [{"required": ["note"]}].',
    }


def test_every_keyword_has_a_row_of_the_table() -> None:
    for support in SUPPORTS:
        assert support.treatments.keys() <= WORDS.keys(), support.name
    schema: JsonObject = {word: {"type": "string"} for word in sorted(KEYWORDS)}
    found = {word for _, word, _ in treated_words(schema, OPENAI)}
    assert KEYWORDS - found == {"default", "examples", "contentEncoding", "contentMediaType"}


# --- Nulls -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        (OPTIONAL, {"part_class": "resistor", "note": None}, {"part_class": "resistor"}),
        (OPTIONAL, {"part_class": None, "note": None}, {"part_class": None}),
        (OPTIONAL, {"part_class": "resistor", "x": None}, {"part_class": "resistor", "x": None}),
        (of(a={"type": ["string", "null"]}), {"a": None}, {"a": None}),
        (of(a={"anyOf": [CLASS, {"type": "null"}]}, b=CLASS), {"a": None, "b": None}, {"a": None}),
        (of(a=True, b=CLASS), {"a": None, "b": None}, {"a": None}),
        (of(a={"type": "array", "items": of(b=CLASS)}), {"a": [{"b": None}]}, {"a": [{}]}),
        (of(a={"oneOf": [CLASS, of(b=CLASS)]}), {"a": {"b": None}}, {"a": {}}),
        ({**of(a={"$ref": "#"}), "title": "t"}, {"a": {"a": {"a": None}}}, {"a": {"a": {}}}),
        ({**of(a=CLASS), "anyOf": [{"required": ["a"]}, True]}, {"a": None}, {}),
        # What a branch requires that the answer does not take may be left out.
        (
            {**of(a=CLASS, b=CLASS), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"a": "resistor", "b": None},
            {"a": "resistor"},
        ),
        (
            {
                **of(kind=CLASS, ohms={"type": "number"}, farads={"type": "number"}),
                "oneOf": [
                    {"required": ["ohms"], "properties": {"kind": {"const": "resistor"}}},
                    {"required": ["farads"], "properties": {"kind": {"const": "capacitor"}}},
                ],
            },
            {"kind": "resistor", "ohms": 1, "farads": None},
            {"kind": "resistor", "ohms": 1},
        ),
        (
            of(
                p={
                    "anyOf": [
                        {**of(r=CLASS, tol=CLASS), "required": ["r"]},
                        {**of(c=CLASS, tol=CLASS), "required": ["c", "tol"]},
                    ]
                }
            ),
            {"p": {"r": "resistor", "tol": None}},
            {"p": {"r": "resistor"}},
        ),
        # What is required whatever the branch stays, and is told as null.
        (
            {**of(a=CLASS), "allOf": [{"required": ["a"]}]},
            {"a": None},
            {"a": None},
        ),
        # The same, where a branch that stands before it says so as well.
        (
            {
                **of(a=CLASS),
                "anyOf": [{"$ref": "#/$defs/whole"}],
                "allOf": [{"allOf": [{"$ref": "#/$defs/whole"}]}],
                "$defs": {"whole": {"required": ["a"]}},
            },
            {"a": None},
            {"a": None},
        ),
    ],
)
def test_null_is_left_out_where_that_is_what_it_means(
    schema: JsonObject, value: JsonObject, read: JsonObject
) -> None:
    assert without_nulls(value, schema) == read


@pytest.mark.parametrize(
    ("part", "takes"),
    [
        (True, True),
        (False, False),
        ({}, True),
        ({"type": "null"}, True),
        ({"enum": ["a", None]}, True),
        ({"const": None}, True),
        ({"type": ["string", "null"], "enum": ["a"]}, False),
        ({"allOf": [{}, {"type": "string"}]}, False),
        ({"oneOf": [{"type": "null"}, {"type": "string"}]}, True),
        ({"$ref": "#/$defs/t"}, False),
        ({"anyOf": [{"$ref": "#/$defs/endless"}]}, False),
    ],
)
def test_whether_null_fits(part: JsonValue, takes: bool) -> None:
    endless: JsonObject = {"anyOf": [{"$ref": "#/$defs/endless"}]}
    root: JsonObject = {"$defs": {"t": CLASS, "endless": endless}}
    assert takes_null(part, root) is takes


def test_a_schema_joined_from_itself_ends() -> None:
    itself: JsonObject = {"$ref": "#"}
    schema: JsonObject = {**of(a=CLASS), "anyOf": [itself, itself, {"allOf": [itself, itself]}]}
    assert without_nulls({"a": None}, schema) == {}
    assert not takes_null({"anyOf": [itself, itself]}, {"anyOf": [itself, itself, itself]})


# --- Over the wire -----------------------------------------------------------------------------


def said(value: JsonObject) -> Reply:
    message = {"role": "assistant", "content": json.dumps(value)}
    usage = {"prompt_tokens": 9, "completion_tokens": 9}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return 200, {}, {"model": "m", "choices": [choice], "usage": usage}


def test_an_optional_property_gets_through_a_strict_endpoint(healthy: RepositoryFolder) -> None:
    candidate = healthy.repository.candidate("part-class")
    prompt = candidate.model_copy(update={"output": OPTIONAL})

    async def ask(url: str) -> Answer:
        models = ModelAliases.parse(
            json.dumps({prompt.model.alias: {"provider": "openai", "model": "m", "base_url": url}})
        )
        async with ModelClient(models, retries=Retries(first=0.0001)) as client:
            return await client.call(prompt, {"part_number": "RC0603", "title": "10 k"})

    with scripted(said({"part_class": "resistor", "note": None})) as server:
        answer = asyncio.run(ask(server.url))
        form = server.asked[0].body["response_format"]
    assert isinstance(form, dict)
    assert form["json_schema"]["strict"] is True
    assert list(refusals(form["json_schema"]["schema"])) == []
    assert answer.output == {"part_class": "resistor"}


@pytest.mark.shipped
def test_the_page_says_what_becomes_of_each_word() -> None:
    page = (Path(__file__).parents[3] / "docs" / "schemas.md").read_text(encoding="utf-8")
    written = replace_generated_part(page, schemas_page.SOURCE, schemas_page.tables())
    assert page == written, "run `make docs`"
