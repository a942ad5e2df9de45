"""A contract as a form, and a form as a label: what is shown comes back as it was."""

from __future__ import annotations

import pytest

from prompt_hub.console.label_form import JSON, LabelForm
from prompt_hub.repository.schema import JsonObject

PROPERTIES: JsonObject = {
    "kind": {"type": "string", "enum": ["resistor", "<b>capacitor</b>"]},
    "grade": {"type": "integer", "minimum": 1, "maximum": 5},
    "smd": {"type": "boolean"},
    "ohms": {"type": ["number", "null"]},
    "name": {"type": "string", "maxLength": 80},
    "notes": {"type": "string"},
    "tags": {"type": "array", "items": {"type": "string", "enum": ["smd", "tht", "rohs"]}},
    "pins": {"type": "array", "items": {"type": "string"}},
    "size": {"type": "object", "properties": {"mm": {"type": "number"}}},
    "code": {"enum": ["a", 1, None]},
    "seen": {"$ref": "#/$defs/seen"},
}
SCHEMA: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": [name for name in PROPERTIES if name not in {"notes", "size"}],
    "properties": PROPERTIES,
    "$defs": {"seen": {"const": True}},
}
LABEL: JsonObject = {
    "kind": "<b>capacitor</b>",
    "grade": 4,
    "smd": False,
    "ohms": 4.7,
    "name": 'a "b" <c>',
    "notes": "first\n\nlast",
    "tags": ["smd", "tht"],
    "pins": ["VCC", "GND"],
    "size": {"mm": 1.5},
    "code": 1,
    "seen": True,
}


@pytest.fixture(scope="module")
def form() -> LabelForm:
    return LabelForm(SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"ohms": None},
        {"code": None},
        {"code": "a"},
        {"tags": [], "pins": []},
        {"grade": 1, "smd": True},
        {"name": ""},
    ],
    ids=str,
)
def test_a_label_comes_back_as_it_was_shown(form: LabelForm, change: JsonObject) -> None:
    label = {**LABEL, **change}
    given = form.filled(label)
    assert JSON not in given
    assert form.label(given) == (label, [])


def test_what_may_be_left_out_can_be_left_out(form: LabelForm) -> None:
    label = {name: value for name, value in LABEL.items() if name not in {"notes", "size"}}
    assert form.label(form.filled(label)) == (label, [])


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "diode"},
        {"name": "two\nlines"},
        {"notes": "of\r\nanother system"},
        {"pins": ["", "GND"]},
        {"pins": ["a\nb"]},
        {"tags": ["smd", "other"]},
        {"tags": ["tht", "smd"]},
        {"tags": ["smd", "smd"]},
        {"tags": None},
        {"grade": 9},
        {"grade": "4"},
        {"new": 1},
        {"name": None},
    ],
    ids=str,
)
def test_what_the_form_would_change_is_edited_as_json(form: LabelForm, change: JsonObject) -> None:
    label = {**LABEL, **change}
    given = form.filled(label)
    assert list(given) == [JSON]
    assert form.label(given)[0] == label


def test_a_new_label_leaves_out_what_may_be_left_out(form: LabelForm) -> None:
    assert form.filled(None) == {"f5.is": ["left out"], "f8.is": ["left out"]}


def test_a_grade_is_chosen_by_its_own_digit(form: LabelForm) -> None:
    by_name = {field.name: field for field in form.fields}
    assert [by_name["grade"].digit(place) for place in range(5)] == ["1", "2", "3", "4", "5"]
    marks = LabelForm({"properties": {"mark": {"type": "integer", "minimum": 0, "maximum": 2}}})
    assert [marks.fields[0].digit(place) for place in range(3)] == ["0", "1", "2"]
    assert [by_name["smd"].digit(place) for place in range(2)] == ["1", "2"]


def test_no_properties_are_one_box_of_json() -> None:
    form = LabelForm({"type": "object"})
    assert form.filled({"a": [1]}) == {JSON: ['{\n  "a": [\n    1\n  ]\n}']}
    assert form.label({JSON: ['{"a": 1}']}) == ({"a": 1}, [])


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        ({}, "kind", "is not chosen"),
        ({"f0": ["2"]}, "kind", "is not chosen"),
        ({"f0": ["9" * 5000]}, "kind", "is not chosen"),
        ({"f3": ["4,7"]}, "ohms", "is no JSON"),
        ({"f3": ["true"]}, "ohms", "must be a number or null, is a boolean"),
        ({"f3": ["NaN"]}, "ohms", "not a finite number"),
        ({"f3": ["4"], "f3.is": ["null"]}, "ohms", "has a value and is null: which of the two?"),
        ({"f5": ["a"], "f5.is": ["left out"]}, "notes", "has a value and is left out: which"),
        ({"f8": ["{"]}, "size", "is no JSON"),
        ({JSON: ["[1]"]}, "", "is no JSON object"),
        ({JSON: ['{"a": 1, "a": 2}']}, "", "the key 'a' twice"),
        ({JSON: ['{"kind": "\\ud800"}']}, "", "half a character"),
    ],
)
def test_what_is_no_label_is_told_with_its_field(
    form: LabelForm, given: dict[str, list[str]], field: str, problem: str
) -> None:
    _, problems = form.label(given)
    assert any(p["field"] == field and problem in p["problem"] for p in problems), problems


def test_the_same_fields_in_another_order_are_another_form(form: LabelForm) -> None:
    turned = dict(reversed(PROPERTIES.items()))
    assert LabelForm({**SCHEMA, "properties": turned}).digest != form.digest


def test_the_whole_contract_is_asked(form: LabelForm) -> None:
    given = {**form.filled(LABEL), "f4": ["x" * 81]}
    assert form.label(given)[1] == [{"field": "name", "problem": "must have at most 80 characters"}]
