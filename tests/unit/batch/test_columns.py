"""Raw columns become typed input fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from pydantic import JsonValue

from prompt_hub.batch import runner
from prompt_hub.batch.mapping import RecordError, assign, no_record, to_fields
from prompt_hub.batch.readers import Record
from prompt_hub.batch.runner import RecordMapper
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


@pytest.mark.parametrize(
    ("declared", "column"),
    [("Größe", "Gro\u0308ße"), ("メーカー", "ﾒｰｶｰ"), ("type", "ｔｙｐｅ"), ("µF", "μF")],
)
def test_columns_are_found_whatever_their_unicode_form(declared: str, column: str) -> None:
    assert column != declared
    assert assign(["mpn", "title", column], COLUMNS | {"stock": [declared]}, SCHEMA)["stock"] == 2
    assert assign(["mpn", "title", declared], COLUMNS | {"stock": [column]}, SCHEMA)["stock"] == 2


def test_raised_digits_of_a_column_count() -> None:
    header = ["mpn", "title", "mm2", "mm²"]
    assert assign(header, COLUMNS | {"stock": ["mm²"]}, SCHEMA)["stock"] == 3


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
        ("title", " keeps  its spaces\u00a0\n", "keeps  its spaces"),
        ("title", '="0603"', "0603"),
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
    with pytest.raises(RecordError, match=r"a: cannot be read as integer or array: '\{\}'"):
        to_fields(["{}"], {"a": 0}, schema)


def test_the_reason_comes_before_a_long_value_and_the_value_is_shortened() -> None:
    with pytest.raises(RecordError) as error:
        to_fields(["9" * 30 + "x" * 300], {"price": 0}, SCHEMA)
    assert str(error.value).startswith("price: cannot be read as number: '999")
    assert len(str(error.value)) < 110


def test_a_schema_that_leaves_the_type_open_takes_the_value_as_it_is() -> None:
    schema: JsonObject = {"properties": {"a": {"enum": ["x"]}, "b": True}}
    assert to_fields(["x", "y"], {"a": 0, "b": 1}, schema) == {"a": "x", "b": "y"}


@pytest.mark.parametrize("empty", ["", " ", "\u00a0\t", "\u200b", None])
def test_an_empty_cell_leaves_an_optional_field_out(empty: JsonValue) -> None:
    places = {"part_number": 0, "title": 1, "stock": 2, "price": 3}
    fields = to_fields(["A1", "Relay", empty, empty], places, SCHEMA)
    assert fields == {"part_number": "A1", "title": "Relay"}


@pytest.mark.parametrize("empty", ["", "  ", "\u00a0", "\ufeff", None])
def test_a_required_field_that_is_empty_is_an_error(empty: JsonValue) -> None:
    with pytest.raises(RecordError, match=r"^title is empty$"):
        to_fields(["A1", empty], {"part_number": 0, "title": 1}, SCHEMA)
    with pytest.raises(RecordError, match=r"^part_number is empty; title is empty$"):
        to_fields([empty, empty, "7"], {"part_number": 0, "title": 1, "stock": 2}, SCHEMA)


@pytest.mark.parametrize("types", ["string", ["string", "null"]])
def test_a_record_of_which_no_field_has_a_value_is_an_error(types: JsonValue) -> None:
    schema: JsonObject = {"properties": {"a": {"type": types}, "b": {"type": "number"}}}
    schema["required"] = ["a"] if isinstance(types, list) else []
    mapper = RecordMapper({}, schema)
    with pytest.raises(RecordError, match="none of its fields has a value"):
        mapper.fields(Record(1, 2, ("a", "b", "c"), (" ", "", "x")))
    assert mapper.fields(Record(1, 2, ("a", "b", "c"), ("y", "", "x"))) == {"a": "y"}


@pytest.mark.parametrize("required", [["a"], []])
def test_a_row_whose_mapped_cells_are_all_empty_asks_nothing(required: list[str]) -> None:
    schema: JsonObject = {"properties": {"a": {"type": "string"}, "b": {"type": "number"}}}
    schema["required"] = [*required]
    mapper = RecordMapper({}, schema)
    header = ("a", "b", "price")
    assert mapper.asks_nothing(Record(1, 2, header, (" ", "\u00a0", "25.00")))
    assert not mapper.asks_nothing(Record(1, 2, header, ("", "7", "")))
    assert not mapper.asks_nothing(Record(1, 2, header, (" ", "", "x"), "a broken cell"))
    # A record that names none of the columns may have misspelt them: that is told.
    assert not mapper.asks_nothing(Record(1, 2, ("A No.",), ("x",)))
    assert mapper.asks_nothing(Record(1, 2, ("A No.",), (None,)))


def test_a_required_field_that_may_be_null_is_null_when_empty() -> None:
    either: JsonObject = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    schema: JsonObject = {
        "required": ["a", "b"],
        "properties": {"a": {"type": ["string", "null"]}, "b": either, "c": {"type": "string"}},
    }
    places = {"a": 0, "b": 1, "c": 2}
    assert to_fields([" ", "", "x"], places, schema) == {"a": None, "b": None, "c": "x"}
    assert to_fields(["y", "0.5", "x"], places, schema) == {"a": "y", "b": 0.5, "c": "x"}


def test_a_header_that_names_no_field_at_all_is_refused() -> None:
    schema: JsonObject = {"properties": {"a": {"type": "string"}}}
    with pytest.raises(RecordError, match=r"for any field \('a'\); the columns are 'b;a'"):
        assign(["b;a"], {}, schema)


WIDE = ["Index", "MPN", "Description", "Qty", "Price"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["", "", "", "", "Subtotal"], "it is a total ('Subtotal')"),
        (["", "Total:", "", "", "$1,234.50"], "it is a total ('Total:')"),
        ([" GRAND TOTAL", "", "", "12", "EUR 25.00"], "it is a total ('GRAND TOTAL')"),
        (["", "Summe", "", "", "1.234,50 €"], "it is a total ('Summe')"),
        (["Total (USD)", "", "", "", "25"], "it is a total ('Total (USD)')"),
        (["", "BOM total cost:", "", "", ""], "it is a total ('BOM total cost:')"),
        (["Total parts", "", "", "5", ""], "it is a total ('Total parts')"),
        (["", "Total number of items", "", "5", ""], "it is a total ('Total number of items')"),
        (["Total: 12", "", "", "", ""], "it is a total ('Total: 12')"),
        (["", "Total parts: 1.234 Stk.", "", "", "5"], "it is a total ('Total parts: 1.234 Stk.')"),
        (["Total", "12 pcs", "", "", ""], "it is a total ('Total')"),
        (["Total", "USD", "", "", "12.5"], "it is a total ('Total')"),
        (["Summe", "-", "", "12 Stück", "€"], "it is a total ('Summe')"),
        (["index", "Mpn ", "Description", "QTY", "Price"], "it is the header once more"),
        (["", "MPN", "Description", "", ""], "it is the header once more"),
    ],
)
def test_what_stands_among_records_and_is_none(row: list[str], reason: str) -> None:
    assert no_record(WIDE, row, 3) == reason


@pytest.mark.parametrize(
    "row",
    [
        ["1", "RC0603", "Resistor", "100", "0.25"],
        ["17", "Total", "", "", ""],  # a number stands before: a row of some list
        ["", "Total", "a word that means all", "", ""],
        ["", "Totalizer TX-5", "", "", "25.00"],
        ["", "Total (USD) 5", "", "", "25.00"],
        ["", "sum of parts", "", "", "25.00"],
        ["", "Total 5", "", "", "25.00"],
        ["", "Total", "TDK", "", "25.00"],
        ["", "Total", "USD", "", ""],
        ["", "Total: 5 V relay", "", "", "25.00"],
        ["", "Part: 5", "", "", "25.00"],
        ["", "Total", "Relay", "5", "25.00"],
        ["", "MPN", "", "", ""],
        ["", "", "", "", "25.00"],
        ["", "", "", "", ""],
    ],
)
def test_what_may_be_a_record_is_taken_for_one(row: list[str]) -> None:
    assert no_record(WIDE, row, 3) is None


def test_a_table_of_two_columns_may_hold_the_word_total() -> None:
    assert no_record(["word", "language"], ["Total", ""], 2) is None
    assert no_record(["MPN", "Sum"], ["Total", 25.0], 4) == "it is a total ('Total')"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (["MPN", "Qty"], ["Total", "5"]),
        (["MPN", "Menge"], ["Summe", "12"]),
        (["Unit Price (USD)", "MPN"], ["Grand total", "12"]),
        (["MPN", "Qty", "Ext. Price"], ["TOTAL", "5", "$12.50"]),
        (["MPN", "Qty"], ["Total: 5", ""]),
    ],
)
def test_a_total_that_leaves_nothing_out_is_one_in_columns_of_amounts(
    header: list[str], row: list[str]
) -> None:
    known = no_record(header, row, 2)
    assert known == (f"it is a total ({row[0]!r})" if header[0] == "MPN" else None)
    assert no_record(header, ["Totalizer", *row[1:]], 2) is None
    assert (
        no_record(["word", "rank", "age"][: len(row)], ["Total", "5", "7"][: len(row)], 2) is None
    )


@pytest.mark.parametrize(
    ("row", "header"),
    [
        (("MPN", "Description", "Qty"), True),
        (("Part No", "Description", "Qty"), True),
        (("part_number", "Title", ""), True),
        (("PART NO", "", "qty"), True),
        (("Part No", "Description", "Anzahl"), False),  # nobody has declared this name
        (("Part No", "Relay", "Qty"), False),
        (("Description", "MPN", "Qty"), False),
        (("Part No", "", ""), False),
    ],
)
def test_a_header_in_other_names_that_are_declared_is_one_once_more(
    row: tuple[str, ...], header: bool
) -> None:
    columns = ("MPN", "Description", "Qty")
    schema: JsonObject = {"properties": SCHEMA["properties"]}
    mapper = RecordMapper(COLUMNS, schema)
    if header:
        with pytest.raises(RecordError, match=r"^it is the header once more$"):
            mapper.fields(Record(2, 3, columns, row))
    else:
        assert mapper.fields(Record(2, 3, columns, row))["part_number"] == row[0]


def test_a_million_lines_of_json_may_have_a_million_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assigned: list[Sequence[str]] = []

    def note(
        header: Sequence[str], columns: Mapping[str, Sequence[str]], schema: JsonObject
    ) -> dict[str, int]:
        assigned.append(header)
        return assign(header, columns, schema)

    monkeypatch.setattr(runner, "HEADERS", 2)
    monkeypatch.setattr(runner, "assign", note)
    mapper = RecordMapper(COLUMNS, SCHEMA)
    first, second, third = ("MPN", "Title"), ("Title", "MPN"), ("MPN", "Title", "Colour")
    titles = [mapper.places(each)["title"] for each in (first, second, third, third, first)]
    assert titles == [1, 0, 1, 1, 1]
    assert assigned == [first, second, third, first], "all but the newest are forgotten"


def test_a_number_in_json_serves_a_field_of_text() -> None:
    assert to_fields([7447.5], {"part_number": 0}, SCHEMA) == {"part_number": "7447.5"}
