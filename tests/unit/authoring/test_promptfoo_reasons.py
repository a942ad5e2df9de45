"""What an import lists, it lists for the reason that is true of it."""

from __future__ import annotations

import pytest

from prompt_hub.repository.schema import JsonObject
from tests.unit.authoring.bench import ASK, BLUE, Bench, case

SEA = case({"thing": "sea"})
OF_RED = {"type": "equals", "value": {"c": "red", "d": 1}}


def code(javascript: str) -> JsonObject:
    """Return an assertion in JavaScript."""
    return {"type": "javascript", "value": javascript}


def is_json(**properties: JsonObject) -> JsonObject:
    """Return an assertion of a schema with these fields."""
    return {"type": "is-json", "value": {"type": "object", "properties": {**properties}}}


# --- Numbers of JavaScript ---------------------------------------------------------------------


@pytest.mark.parametrize("number", ["010", "-007.5", "9" * 5000, "9" * 400, "٣"])
def test_a_number_that_javascript_or_json_has_otherwise_is_code(bench: Bench, number: str) -> None:
    asserted = code(f"JSON.parse(output).n === {number}")
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, asserted), SEA]})
    assert bench.asked() == ["Colour of sea?"]
    assert "the assertion 'javascript': it is code" in output


# --- Texts, patterns and schemas ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [("contains-any", ["R"]), ("starts-with", "R"), ("icontains-all", ["R"]), ("regex", "^R$")],
)
def test_part_of_a_plain_text_is_no_right_answer(bench: Bench, kind: str, value: object) -> None:
    tests = [case({"thing": "sky"}, {"type": kind, "value": value}), SEA]
    output = bench.take({**ASK, "tests": tests})
    assert f"the assertion '{kind}': it says something of a right answer, not which it" in output


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("regex", "(?=R)", "its value cannot be read: patterns here are those of RE2, which look"),
        ("regex", "R(", "its value cannot be read: patterns here are those of RE2, which look"),
        ("contains-any", '"R', "its value cannot be read: a list whose quotes do not end"),
    ],
)
def test_what_cannot_be_read_says_so(bench: Bench, kind: str, value: str, why: str) -> None:
    tests = [case({"thing": "sky"}, {"type": kind, "value": value}), SEA]
    output = bench.take({**ASK, "tests": tests})
    assert f"the assertion '{kind}': {why}" in output


@pytest.mark.parametrize("kind", ["regex", "contains", "starts-with"])
def test_a_text_of_answers_with_several_fields_says_so(bench: Bench, kind: str) -> None:
    tests = [case({"thing": "sky"}, OF_RED, {"type": kind, "value": "z"})]
    output = bench.take({**ASK, "tests": tests})
    assert f"the assertion '{kind}': it says something of a right answer, not which it is" in output


def test_a_schema_that_became_the_contract_is_that_and_no_more(bench: Bench) -> None:
    contract = is_json(c={"type": "string"}, d={"type": "integer"})
    tests = [case({"thing": "sky"}, OF_RED, contract), case({"thing": "sea"}, contract)]
    output = bench.take({**ASK, "tests": tests})
    assert "'is-json' (and 1 more like it): is the output contract" in output
    assert "cannot be held" not in output


def test_another_schema_than_the_contract_is_not_called_the_contract(bench: Bench) -> None:
    first, second = is_json(c={"type": "string"}, d={}), is_json(c={"enum": ["red"]})
    tests = [
        case({"thing": "sky"}, OF_RED, first, second),
        case({"thing": "sea"}, second),
    ]
    output = bench.take({**ASK, "tests": tests})
    assert "'is-json': is the output contract" in output
    assert "the assertion 'is-json': holds of the right answer" in output
    assert "the assertion 'is-json': a task has one output schema, and this is" in output


# --- JavaScript's `==` -------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "right"), [("1", 1), ("''", ""), ("'0x1F'", 31), ("true", True)])
def test_a_loose_comparison_that_takes_two_types_is_listed(
    bench: Bench, value: str, right: object
) -> None:
    asserted = code(f"JSON.parse(output).n == {value}")
    whole = {"type": "equals", "value": {"n": right}}
    tests = [case({"thing": "sky"}, asserted), case({"thing": "sea"}, whole, asserted)]
    output = bench.take({**ASK, "tests": tests})
    assert bench.asked() == ["Colour of sea?"]
    assert "the assertion 'javascript' (and 1 more like it): it is code" in output


def test_a_loose_comparison_with_a_word_is_a_right_answer(bench: Bench) -> None:
    bench.take({**ASK, "tests": [case({"thing": "sky"}, code("JSON.parse(output).n == 'red'"))]})
    assert bench.answers() == [{"n": "red"}]


@pytest.mark.parametrize(("value", "passes"), [("1", True), ("'1'", False)])
def test_a_right_answer_is_held_against_code(bench: Bench, value: str, passes: bool) -> None:
    right = {"type": "equals", "value": {"n": 1}}
    tests = [
        case({"thing": "sky"}, right, code(f"JSON.parse(output).n === {value}")),
        case({"thing": "sea"}, right),
    ]
    output = bench.take({**ASK, "tests": tests})
    assert (len(bench.examples) == 2) is passes
    assert ("the assertion 'javascript': holds of the right answer" in output) is passes


# --- What YAML makes of words without quotes ---------------------------------------------------

CONFIG = """
prompts: ['Colour of {thing}?']
providers: [openai:gpt-4o-mini]
tests:
  - vars: {thing: sea}
    assert: [{type: equals, value: blue}]
  -
""".strip().replace("{thing}?", "{{thing}}?")


def with_test(second: str) -> str:
    """Return a configuration whose second test is as it is written."""
    return f"{CONFIG} {second}\n"


@pytest.mark.parametrize("kind", ["equals", "contains", "contains-any", "not-contains", "regex"])
@pytest.mark.parametrize("value", ["2024-01-02", "[2024-01-02]", "{d: 2024-01-02}"])
def test_a_date_without_quotes_is_the_reason(bench: Bench, kind: str, value: str) -> None:
    asserted = f"{{vars: {{thing: sky}}, assert: [{{type: {kind}, value: {value}}}]}}"
    output = bench.take(with_test(asserted))
    assert bench.answers() == [{"answer": "blue"}]
    assert (
        "promptfooconfig.yaml:6: a test: nothing is kept of a date without quotes; put it in quotes"
    ) in output


INFINITE = ["123e4567", "-1e999", ".inf", "-.Inf", ".nan", "9" * 400, "9" * 5000]


OF_SKY = "{vars: {thing: sky}, assert: [{type: equals, value: N}]}"


@pytest.mark.parametrize(
    "second",
    [
        *(OF_SKY.replace("N", number) for number in INFINITE),
        "{vars: {thing: N}, assert: [{type: equals, value: blue}]}",
        "{vars: {thing: [x, N]}, assert: [{type: equals, value: {c: [N]}}]}",
        "{vars: {thing: sky}, assert: [{type: cost, threshold: N}, {type: equals, value: x}]}",
    ],
)
def test_a_number_without_end_costs_its_own_test_only(bench: Bench, second: str) -> None:
    output = bench.take(with_test(second.replace("N", "123e4567")))
    assert bench.asked() == ["Colour of sea?"]
    assert "promptfooconfig.yaml:6: a test" in output
    assert "a number in it is not finite; put quotes around" in output


def test_a_number_without_end_in_a_schema_costs_the_schema(bench: Bench) -> None:
    schema = "{type: object, properties: {c: {maximum: 123e4567}}}"
    asserted = f"{{vars: {{thing: sky}}, assert: [{{type: is-json, value: {schema}}}]}}"
    output = bench.take(with_test(asserted))
    assert "the schema of 'is-json': a number in it is not finite" in output


@pytest.mark.parametrize("where", ["tests", "vars", "assert"])
def test_a_number_without_end_in_a_file_costs_its_own_test_only(bench: Bench, where: str) -> None:
    bench.write("tests.yaml", "- vars: {thing: 123e4567}\n  assert: [{type: equals, value: x}]\n")
    bench.write("vars.yaml", "thing: 123e4567\n")
    bench.write("assert.yaml", "[{c: 123e4567}]\n")
    second = {
        "tests": "file://tests.yaml",
        "vars": "{vars: vars.yaml, assert: [{type: equals, value: x}]}",
        "assert": "{vars: {thing: x}, assert: [{type: equals, value: file://assert.yaml}]}",
    }[where]
    output = bench.take(with_test(second))
    assert bench.asked() == ["Colour of sea?"]
    assert "a number in it is not finite; put quotes around" in output


def test_a_number_without_end_elsewhere_has_its_line(bench: Bench) -> None:
    provider = "[{id: openai:gpt-4o-mini, config: {temperature: 123e4567}}]"
    second = "{vars: {thing: sky}, metadata: {id: 1e999}, assert: [{type: equals, value: x}]}"
    output = bench.take(with_test(second).replace("[openai:gpt-4o-mini]", provider))
    reason = "a parameter of this name has to be a finite number"
    assert f"promptfooconfig.yaml:2: 'temperature' of the provider: {reason}" in output
    assert "promptfooconfig.yaml:6: the metadata 'id': a tag here is a word" in output


@pytest.mark.parametrize("name", ["t.jsonl", "t.json"])
@pytest.mark.parametrize("emoji", ["", '"note": "\\ud83d\\ude00", '])
def test_a_number_without_end_in_json_costs_its_own_test_only(
    bench: Bench, name: str, emoji: str
) -> None:
    asserted = '"assert": [{"type": "equals", "value": "blue"}]}'
    rows = [f'{{"vars": {{{emoji}"thing": {thing}}}, {asserted}' for thing in ("1e999", '"sea"')]
    bench.write(name, "\n".join(rows) if name == "t.jsonl" else f"[{','.join(rows)}]")
    output = bench.take({**ASK, "tests": f"file://{name}"})
    assert bench.asked() == ["Colour of sea?"]
    assert f"{name}:1: a test: a number in it is not finite; put quotes around" in output


ELSEWHERE: JsonObject = {"vars": {"thing": "sky"}, "value": {"c": "x"}}


@pytest.mark.parametrize(
    "test",
    [
        {"vars": {"$ref": "#/derivedMetrics/vars"}, "assert": BLUE},
        case({"thing": "sky"}, {"type": "equals", "value": {"$ref": "#/derivedMetrics/value"}}),
        case({"thing": "sky"}, *BLUE, {"$ref": "#/derivedMetrics/value"}),
        case({"thing": "sky"}, *BLUE, options={"$ref": "#/derivedMetrics/value"}),
    ],
)
def test_what_stands_elsewhere_costs_its_own_test(bench: Bench, test: dict[str, object]) -> None:
    output = bench.take({**ASK, "derivedMetrics": ELSEWHERE, "tests": [test, SEA]})
    assert bench.asked() == ["Colour of sea?"]
    assert "a test: it stands elsewhere (#/derivedMetrics/" in output


def test_an_assertion_that_stands_elsewhere_makes_no_side_check_a_right_answer(
    bench: Bench,
) -> None:
    asserted = [{"$ref": "#/assertionTemplates/short"}, {"type": "contains", "value": "blue"}]
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *asserted), SEA]})
    assert bench.asked() == ["Colour of sea?"]
    assert "an assertion without a type: nothing says what it asserts; write it out" in output


@pytest.mark.parametrize("value", [[1e-7], "file://small.yaml"])
def test_a_small_number_is_right_in_an_object_and_has_no_known_text(
    bench: Bench, value: object
) -> None:
    bench.write("small.yaml", "[1.0e-7]\n")
    listed = case({"thing": "sky"}, {"type": "equals", "value": value})
    output = bench.take(
        {**ASK, "tests": [listed, case({"thing": "sea"}, {"type": "equals", "value": {"n": 1e-7}})]}
    )
    assert bench.answers() == [{"n": 1e-7}]
    assert "the assertion 'equals': its value cannot be worked out here: a number that" in output
