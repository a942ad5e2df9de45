"""What callers are told about fields that do not fit."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from prompt_hub.repository.input_check import field_problems
from prompt_hub.repository.large_enums import LARGE
from prompt_hub.repository.schema import JsonObject

SCHEMA: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["part_number", "title"],
    "properties": {
        "part_number": {"type": "string", "minLength": 1},
        "title": {"type": "string", "maxLength": 5},
        "quantity": {"type": ["integer", "null"]},
        "unit": {"type": "string", "enum": ["piece", "reel"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"part_number": "2N7002", "title": "FET"}, []),
        ({}, [("part_number", "is missing"), ("title", "is missing")]),
        ({"part_number": "x"}, [("title", "is missing")]),
        (
            {"part_number": 7, "title": "FET"},
            [("part_number", "must be a string, is a number")],
        ),
        ({"part_number": "", "title": "FET"}, [("part_number", "must have at least 1 character")]),
        ({"part_number": "x", "title": "longer"}, [("title", "must have at most 5 characters")]),
        (
            {"part_number": "x", "title": "FET", "colour": "red", "shape": 1},
            [("colour", "is not a field of this task"), ("shape", "is not a field of this task")],
        ),
        (
            {"part_number": "x", "title": "FET", "quantity": "two"},
            [("quantity", "must be an integer or null, is a string")],
        ),
        (
            {"part_number": "x", "title": "FET", "unit": "box"},
            [("unit", "must be one of: piece, reel")],
        ),
        (
            {"part_number": "x", "title": "FET", "tags": ["a", None]},
            [("tags.1", "must be a string, is null")],
        ),
    ],
)
def test_problems_are_said_in_words(fields: JsonObject, problems: list[tuple[str, str]]) -> None:
    found = [(problem["field"], problem["problem"]) for problem in field_problems(fields, SCHEMA)]
    assert found == problems


def test_a_value_is_never_repeated() -> None:
    found = field_problems({"part_number": ["secret"], "title": "secret-title"}, SCHEMA)
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("rule", "value", "problem"),
    [
        ({"minimum": 3}, 1, "must be at least 3"),
        ({"enum": ["0805", 1206]}, "1206", 'must be one of: "0805", 1206'),
        ({"enum": ["0402", "1206"]}, 1206, 'must be one of: "0402", "1206"'),
        ({"enum": ["é", None, True]}, "secret", 'must be one of: "é", null, true'),
        ({"const": "1206"}, 1206, 'must be "1206"'),
        ({"const": "é"}, "secret", "must be é"),
        ({"pattern": "^a$"}, "secret", "must be a text that matches ^a$"),
        ({"uniqueItems": True}, ["secret", "secret"], "must be a list with each entry once"),
        (
            {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "secret",
            "must be an integer or null, is a string",
        ),
        (
            {"oneOf": [{"type": ["array", "null"]}, {"type": "null"}]},
            "secret",
            "must be a list or null, is a string",
        ),
        ({"anyOf": [{"maxLength": 3}, {"type": "null"}]}, "secret", "breaks the rule 'anyOf'"),
        ({"anyOf": [{"items": {"type": "null"}}]}, ["secret"], "breaks the rule 'anyOf'"),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, "secret", "breaks the rule 'oneOf'"),
        ({"contains": {"const": 1}}, ["secret"], "breaks the rule 'contains'"),
        ({"propertyNames": {"maxLength": 3}}, {"secret": 1}, "breaks the rule 'propertyNames'"),
        ({"unevaluatedItems": False}, ["secret"], "breaks the rule 'unevaluatedItems'"),
        (
            {"enum": [f"v{number}" for number in range(LARGE)]},
            "secret is not one of them",
            f'must be one of: "v0", "v1" or {LARGE - 2} other candidates',
        ),
    ],
)
def test_a_rule_is_said_without_the_value_that_breaks_it(
    rule: JsonObject, value: JsonValue, problem: str
) -> None:
    found = field_problems({"field": value}, {"type": "object", "properties": {"field": rule}})
    assert found == [{"field": "field", "problem": problem}]
