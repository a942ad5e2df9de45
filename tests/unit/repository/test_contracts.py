"""JSON Schemas as contracts: what keeps them, what makes one unusable, and never a hang."""

from __future__ import annotations

import time

import pytest
from pydantic import JsonValue

from prompt_hub.repository.contracts import (
    Contract,
    resolve,
    schema_problems,
    violations,
    worst_violation,
)
from prompt_hub.repository.schema import JsonObject


def problems_of(schema: JsonObject) -> list[tuple[str, str, str]]:
    return [
        (".".join(map(str, problem.location)), problem.found, problem.suggestion)
        for problem in schema_problems(schema)
    ]


def test_a_good_contract_has_no_problems() -> None:
    schema: JsonObject = {
        "type": "object",
        "additionalProperties": False,
        "required": ["brand"],
        "properties": {"brand": {"type": "string", "pattern": "^[A-Z]", "x-note": "ours"}},
        "$defs": {"a": {"type": "integer"}},
    }
    assert problems_of(schema) == []
    assert list(violations({"brand": "TDK"}, schema)) == []


@pytest.mark.parametrize(
    ("schema", "location", "found", "suggestion"),
    [
        ({"type": "array"}, "type", "'array'", ""),
        ({}, "type", "None", ""),
        (
            {"type": "object", "properties": {"a": {"type": "strng"}}},
            "properties.a.type",
            "'strng'",
            "string",
        ),
        (
            {"type": "object", "properties": {"a": {"maxLenght": 3}}},
            "properties.a.maxLenght",
            "the keyword 'maxLenght', which JSON Schema does not have",
            "maxLength",
        ),
        (
            {"type": "object", "required": ["tittle"], "properties": {"title": {}}},
            "required.0",
            "'tittle', which is not among the properties",
            "title",
        ),
        (
            {"type": "object", "properties": {"a": {"pattern": "("}}},
            "properties.a.pattern",
            "'(': missing ), unterminated subpattern at position 0",
            "",
        ),
        (
            {"type": "object", "properties": {"a": {"pattern": "(?<=a)b"}}},
            "properties.a.pattern",
            "'(?<=a)b': it looks around or back, which could take for ever",
            "",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "http://example.org/a"}}},
            "properties.a.$ref",
            "'http://example.org/a'",
            "",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
            "",
            "Pointer '/$defs/none' does not exist",
            "",
        ),
    ],
)
def test_what_is_wrong_with_a_contract(
    schema: JsonObject, location: str, found: str, suggestion: str
) -> None:
    assert problems_of(schema) == [(location, found, suggestion)]


@pytest.mark.parametrize("types", [None, ["string", None]])
def test_a_null_without_quotes_is_no_name_of_a_type(types: JsonValue) -> None:
    (problem,) = schema_problems({"type": "object", "properties": {"a": {"type": types}}})
    assert problem.location == ("properties", "a", "type")
    assert problem.expected == "'null' in quotes, which is the name of a type"


@pytest.mark.parametrize(
    "words",
    [
        {"anyOf": [{"properties": {"kind": {"const": "a"}}, "required": ["kind", "package"]}]},
        {
            "if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
            "then": {"properties": {"reel": {}}, "required": ["reel", "package"]},
            "else": {"not": {"properties": {"reel": {}}, "required": ["kind"]}},
        },
        {"dependentSchemas": {"kind": {"properties": {"reel": {}}, "required": ["package"]}}},
        {"allOf": [{"properties": {"reel": {}}}, {"oneOf": [{}]}], "required": ["reel"]},
        {"$ref": "#/$defs/base", "required": ["maker"]},
    ],
)
def test_a_branch_may_require_what_is_declared_around_it(words: JsonObject) -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "package": {"type": "string"}},
        "$defs": {"base": {"properties": {"maker": {"type": "string"}}}},
    }
    assert problems_of({**schema, **words}) == []


def test_a_branch_may_not_require_what_nobody_declares() -> None:
    branch: JsonObject = {"properties": {"kind": {"const": "a"}}, "required": ["kind", "pakage"]}
    (problem,) = schema_problems(
        {"type": "object", "properties": {"kind": {}, "package": {}}, "anyOf": [branch]}
    )
    assert problem.location == ("anyOf", 0, "required", 1)
    assert problem.found == "'pakage', which is not among the properties"
    assert (problem.expected, problem.suggestion) == ("one of: kind, package", "package")


OF_ANOTHER_VALUE: JsonObject = {"properties": {"b": {}}, "required": ["a"]}


@pytest.mark.parametrize(
    "words",
    [
        {"properties": {"a": {}, "then": OF_ANOTHER_VALUE}},
        {"properties": {"a": {}, "oneOf": {"items": OF_ANOTHER_VALUE}}},
        {"properties": {"a": {}}, "additionalProperties": OF_ANOTHER_VALUE},
    ],
)
def test_what_holds_for_another_value_is_no_branch(words: JsonObject) -> None:
    (problem,) = problems_of({"type": "object", **words})
    assert problem[1] == "'a', which is not among the properties"


def test_a_property_may_be_named_like_a_keyword_or_not() -> None:
    assert (
        problems_of({"type": "object", "properties": {"colour": {}, "pattern": {"type": "null"}}})
        == []
    )
    assert problems_of({"type": "object", "properties": {"a": {"enum": [{"colour": 1}]}}}) == []


def test_the_worst_violation_is_the_one_nearest_the_root() -> None:
    schema: JsonObject = {
        "type": "object",
        "required": ["b"],
        "properties": {"a": {"type": "object", "required": ["x"]}},
    }
    worst = worst_violation({"a": {}}, schema)
    assert worst is not None
    assert worst.message == '"b" is a required property'
    assert worst_violation({"a": {"x": 1}, "b": 1}, schema) is None


def test_nothing_fits_a_schema_that_cannot_be_used() -> None:
    worst = worst_violation({}, {"$ref": "#/nowhere"})
    assert worst is not None
    assert worst.message.startswith("the schema cannot be used")


def test_no_pattern_makes_a_long_text_hang() -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
    began = time.process_time()
    assert worst_violation({"a": "a" * 50_000 + "!"}, schema) is not None
    assert time.process_time() - began < 1.0


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    value: JsonObject = {}
    for _ in range(500):
        value = {"a": value}
    assert list(violations(value, schema)) == []
    assert list(violations({}, {"allOf": [{"$ref": "#"}]})) == []


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#/$defs/size", {"type": "integer"}),
        ("#/$defs/alias", {"type": "integer"}),
        ("#/$defs/in~1mm", {"type": "number"}),
        ("#/$defs/in%20%C2%B5m", {"type": "string"}),
        ("#/anyOf/1", {"type": "null"}),
        ("#/anyOf/2", None),
        ("#/$defs/gone", None),
        ("#/$defs/endless", None),
        ("#size", None),
        ("other.json#/$defs/size", None),
    ],
)
def test_references_are_followed_inside_one_schema_to_their_end(
    reference: str, found: JsonObject | None
) -> None:
    root: JsonObject = {
        "$defs": {
            "size": {"type": "integer"},
            "alias": {"$ref": "#/$defs/size"},
            "in/mm": {"type": "number"},
            "in µm": {"type": "string"},
            "endless": {"$ref": "#/$defs/endless"},
        },
        "anyOf": [{"$ref": "#/$defs/size"}, {"type": "null"}],
    }
    assert resolve({"$ref": reference}, root) == found
    assert resolve({"$ref": "#"}, root) is root


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"properties": {"a": {"enum": [f"v{number}" for number in range(2000)]}}},
        {"properties": {"a": {"type": "string", "format": "date", "pattern": "^2"}}},
        {"$defs": {"n": {"type": ["integer", "null"]}}, "properties": {"a": {"$ref": "#/$defs/n"}}},
    ],
)
@pytest.mark.parametrize(
    "value", [{}, {"a": 1}, {"a": "v7"}, {"a": "2026-02-30"}, {"a": "2026-02-03"}, {"b": None}, 7]
)
def test_a_contract_fits_where_nothing_violates_it(schema: JsonObject, value: JsonValue) -> None:
    contract = Contract(schema)
    found = list(contract.violations(value))
    assert found == list(violations(value, schema))
    assert contract.fits(value) == (not found)
