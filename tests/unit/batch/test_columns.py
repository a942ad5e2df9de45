"""Raw columns become typed input fields."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from prompt_hub.batch.mapping import RecordError, assign, to_fields
from prompt_hub.repository.schema import JsonObject

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["part_number", "title"],
    "properties": {
        "part_number": {"type": "string"},
        "title": {"type": "string"},
        "stock": {"type": "integer"},
        "price": {"type": "number"},
        "obsolete": {"type": "boolean"},
        "tags": {"type": "array"},
    },
}
COLUMNS = {"part_number": ["MPN", "Part No"], "title": ["Description"]}


def test_columns_are_found_by_alias_whatever_their_case_and_spaces() -> None:
    assert assign(["  part no ", "DESCRIPTION", "Unknown"], COLUMNS, SCHEMA) == {
        "part_number": 0,
        "title": 1,
    }


def test_a_field_answers_to_its_own_name() -> None:
    assert assign(["title", "Part_Number"], COLUMNS, SCHEMA) == {"part_number": 1, "title": 0}


def test_a_required_field_without_a_column_is_named_with_what_would_do() -> None:
    with pytest.raises(RecordError) as error:
        assign(["MPN", "Text"], COLUMNS, SCHEMA)
    assert "no column for the field 'title'" in str(error.value)
    assert "'Description'" in str(error.value)
    assert "the columns are 'MPN', 'Text'" in str(error.value)


def test_two_columns_may_not_claim_one_field() -> None:
    with pytest.raises(RecordError, match="'MPN' and 'Part No' both claim the field 'part_number'"):
        assign(["MPN", "Part No", "Description"], COLUMNS, SCHEMA)


def test_the_same_column_twice_is_a_conflict_too() -> None:
    with pytest.raises(RecordError, match="both claim"):
        assign(["MPN", "Title", "title"], COLUMNS, SCHEMA)


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("stock", " 12 ", 12),
        ("price", "0.25", 0.25),
        ("price", "3", 3),
        ("obsolete", "Yes", True),
        ("obsolete", "0", False),
        ("tags", '["smd", "rohs"]', ["smd", "rohs"]),
        ("title", " keeps its spaces ", " keeps its spaces "),
        ("title", "007", "007"),
    ],
)
def test_text_becomes_the_type_of_its_field(column: str, text: str, value: object) -> None:
    assert to_fields([text], {column: 0}, SCHEMA) == {column: value}


@pytest.mark.parametrize(
    ("column", "text"),
    [("stock", "a dozen"), ("price", "0,25"), ("price", "NaN"), ("obsolete", "perhaps")],
)
def test_text_of_another_type_names_field_and_value(column: str, text: str) -> None:
    with pytest.raises(RecordError) as error:
        to_fields([text], {column: 0}, SCHEMA)
    assert column in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("types", "value", "read"),
    [
        (["string", "null"], "ACME", "ACME"),
        (["null", "string"], "12", "12"),
        (["integer", "string"], "12", "12"),
        (["string", "null"], "", None),
        (["string", "null"], None, None),
        (["string", "null"], 12, "12"),
        (["number", "string"], 12, 12),
        (["integer", "null"], " 12 ", 12),
        (["integer", "null"], "", None),
        (["integer", "number"], "0.5", 0.5),
        (["boolean", "integer"], "7", 7),
        (["array", "object"], '{"a": 1}', {"a": 1}),
        (["null"], "x", "x"),
    ],
)
def test_a_field_of_several_types_takes_the_first_that_its_value_can_be_read_as(
    types: list[str], value: JsonValue, read: object
) -> None:
    schema: JsonObject = {"required": ["a"], "properties": {"a": {"type": [*types]}}}
    assert to_fields([value], {"a": 0}, schema) == {"a": read}


def test_text_that_none_of_several_types_fits_names_them() -> None:
    schema: JsonObject = {"properties": {"a": {"type": ["integer", "null", "array"]}}}
    with pytest.raises(RecordError, match=r"a: '\{\}' cannot be read as integer or array"):
        to_fields(["{}"], {"a": 0}, schema)


def test_a_schema_that_leaves_the_type_open_takes_the_value_as_it_is() -> None:
    schema: JsonObject = {"properties": {"a": {"enum": ["x"]}, "b": True}}
    assert to_fields(["x", "y"], {"a": 0, "b": 1}, schema) == {"a": "x", "b": "y"}


def test_an_empty_cell_leaves_an_optional_field_out_and_a_required_one_empty() -> None:
    assert to_fields(["", ""], {"title": 0, "stock": 1}, SCHEMA) == {"title": ""}


def test_a_number_in_json_serves_a_field_of_text() -> None:
    assert to_fields([7447.5], {"part_number": 0}, SCHEMA) == {"part_number": "7447.5"}
