"""A schema that is restated for a provider means what it meant, whatever the schema."""

from __future__ import annotations

import json
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from prompt_hub.llm.schema_support import AZURE_OPENAI, BEDROCK, OPENAI, OPENAI_COMPATIBLE
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.contracts import properties, required, schema_problem, schema_problems
from prompt_hub.repository.nulls import takes_null, without_nulls
from prompt_hub.repository.schema import JsonObject

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS: st.SearchStrategy[JsonValue] = st.sampled_from(["", "x", "xy", 0, 1, 1.5, True, None])
PLAIN: st.SearchStrategy[JsonObject] = st.one_of(
    st.fixed_dictionaries({"enum": st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr)}),
    st.fixed_dictionaries({"const": SCALARS}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "number", "boolean", "null"])},
        optional={"minLength": st.integers(0, 2), "minimum": st.integers(0, 1)},
    ),
    st.fixed_dictionaries(
        {"type": st.lists(st.sampled_from(["string", "null"]), min_size=1, unique=True)}
    ),
    st.just({"$ref": "#/$defs/t"}),
    st.just({}),
)


def _objects(inner: st.SearchStrategy[JsonObject]) -> st.SearchStrategy[JsonObject]:
    def made(parts: dict[str, JsonObject], needed: set[str]) -> JsonObject:
        schema = {"type": "object", "properties": parts, "required": sorted(needed & parts.keys())}
        return cast(JsonObject, {**schema, "additionalProperties": False})

    return st.builds(made, st.dictionaries(NAMES, inner, max_size=3), st.sets(NAMES))


def _more(inner: st.SearchStrategy[JsonObject]) -> st.SearchStrategy[JsonObject]:
    lists = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner}, optional={"uniqueItems": st.just(True)}
    )
    choices = st.lists(inner, min_size=1, max_size=2)
    return st.one_of(
        _objects(inner),
        cast("st.SearchStrategy[JsonObject]", lists),
        st.builds(lambda members: cast(JsonObject, {"anyOf": members}), choices),
    )


SCHEMAS = st.builds(
    lambda schema, shared: {**schema, "$defs": {"t": shared}},
    _objects(st.recursive(PLAIN, _more, max_leaves=6)),
    PLAIN.filter(lambda part: "$ref" not in part),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner), max_leaves=6
)


def fill(value: JsonValue, schema: JsonValue, root: JsonObject) -> JsonValue:
    """Write null for what is left out, as a model must under strict; own to this test."""
    if isinstance(schema, dict) and isinstance(value, dict) and "properties" in schema:
        return {
            name: fill(value[name], part, root) if name in value else None
            for name, part in properties(schema).items()
        }
    if isinstance(schema, dict) and isinstance(value, list) and "items" in schema:
        return [fill(entry, schema["items"], root) for entry in value]
    return value


@given(SCHEMAS, st.dictionaries(NAMES, VALUES, max_size=3))
def test_a_restated_schema_takes_what_the_contract_takes(
    schema: JsonObject, value: JsonObject
) -> None:
    if schema_problems(schema):
        return
    read = without_nulls(value, schema)
    assert without_nulls(read, schema) == read
    if schema_problem(value, schema) is None:
        assert read == value
    for support in (OPENAI, AZURE_OPENAI, BEDROCK, OPENAI_COMPATIBLE):
        sent = sent_schema(schema, support)
        if not sent.strict:
            assert sent.reason
            continue
        assert schema_problems(sent.schema) == ()
        assert required(sent.schema) == properties(schema).keys()
        if "anyOf" in json.dumps(schema) or schema_problem(value, schema) is not None:
            continue
        filled = cast(JsonObject, fill(value, schema, schema))
        assert schema_problem(filled, sent.schema) is None
        back = without_nulls(filled, schema)
        takes = {name for name, part in properties(schema).items() if takes_null(part, schema)}
        assert schema_problem(back, schema) is None
        assert value.keys() <= back.keys() <= value.keys() | takes
