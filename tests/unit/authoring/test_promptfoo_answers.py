"""An import takes for right what promptfoo passes; or it says so."""

from __future__ import annotations

import json

import pytest

from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.schema_support import OPENAI
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.schema import JsonObject
from tests.unit.authoring.bench import ASK, BLUE, PROVIDER, Bench, case

# --- Right answers -----------------------------------------------------------------------------


def test_a_table_states_types_without_a_colon(bench: Bench) -> None:
    header = "thing,__expected1,__expected2"
    bench.write("t.csv", f"{header}\nsky,latency(5000),blue\nsea,is-xml,green\n")
    output = bench.take({**ASK, "tests": "file://t.csv"})
    assert bench.answers() == [{"answer": "blue"}, {"answer": "green"}]
    assert bench.workshop.folder.repository.metadata("task").limits.seconds_p95 == 5
    assert "t.csv:3: the assertion 'is-xml'" in output


def test_what_the_contract_enforces_has_no_weight(bench: Bench) -> None:
    schema = {"type": "object", "required": ["c"], "properties": {"c": {"type": "string"}}}
    default = {"assert": [{"type": "is-json", "value": schema}]}
    tests = [
        case({"thing": name}, {"type": "equals", "value": {"c": colour}})
        for name, colour in (("sky", "blue"), ("sea", "green"))
    ]
    output = bench.take({**ASK, "defaultTest": default, "tests": tests})
    assert bench.score(1, {"c": "blue"}) == 0
    assert "'is-json' (and 1 more like it): is the output contract" in output


def test_a_field_that_no_assertion_names_costs_nothing(bench: Bench) -> None:
    def same(name: str, value: str) -> JsonObject:
        return {"type": "javascript", "value": f"JSON.parse(output).{name} === '{value}'"}

    tests = [
        case({"thing": "sky"}, same("c", "blue"), same("mood", "calm")),
        case({"thing": "sea"}, same("c", "green")),
    ]
    output = bench.take({**ASK, "tests": tests})
    assert bench.score(1, {"c": "green", "mood": "wild", "reason": "waves"}) == 1
    assert bench.score(0, {"c": "blue", "mood": "wild"}) == 0.5
    assert bench.score(0, {"c": "Blue ", "mood": "calm"}) == 0.5
    sent = sent_schema(bench.prompt.output, OPENAI)
    assert (sent.schema["additionalProperties"], sent.strict) == (True, False)
    assert "the fields of the answer that nothing compares" in output


def test_equal_objects_are_compared_with_case_and_white_space(bench: Bench) -> None:
    tests = [case({"thing": "sky"}, {"type": "equals", "value": '{"c": "blue"}'})]
    output = bench.take({**ASK, "tests": tests})
    assert bench.score(0, {"c": "blue"}) == 1
    assert bench.score(0, {"c": "Blue "}) == 0
    assert "compared as JSON, not letter by letter" in output
    assert bench.score(0, {"c": "blue", "d": 1}) == 0


def test_all_of_an_equal_object_is_compared(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"c": {"type": "string"}}}
    asserted = [
        {"type": "is-json", "value": schema},
        {"type": "equals", "value": {"c": "blue", "n": 1, "d": None}},
    ]
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})
    assert bench.score(0, {"c": "blue", "n": 1}) == 1
    assert bench.score(0, {"c": "blue"}) == 0
    assert bench.score(0, {"c": "blue", "n": 1, "more": 2}) == 0
    assert "null and a field that is left out are one here" in output


def test_a_single_field_must_stand_in_the_schema(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"c": {"type": "string"}}}
    code = {"type": "javascript", "value": "JSON.parse(output).d === 1"}
    asserted = [{"type": "is-json", "value": schema}, code]
    output = bench.refuse({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})
    assert "it compares 'd', a field that the output schema does not have" in output


def test_whole_objects_and_single_fields_are_not_compared_by_one_scorer(bench: Bench) -> None:
    some = {"type": "javascript", "value": "JSON.parse(output).c === 'blue'"}
    whole = {"type": "equals", "value": {"c": "blue", "d": 1}}
    tests = [case({"thing": "sky"}, some), case({"thing": "sea"}, whole)]
    output = bench.take({**ASK, "tests": tests})
    assert bench.asked() == ["Colour of sea?"]
    assert "it compares some fields where others compare all of them" in output


def test_a_text_is_no_object_because_other_answers_are(bench: Bench) -> None:
    tests = [
        case({"thing": "sky"}),
        case({"thing": "sea"}, {"type": "equals", "value": {"c": "x"}}),
    ]
    output = bench.take({**ASK, "tests": tests})
    assert bench.answers() == [{"c": "x"}]
    assert "its right answer is a text, but answers are objects" in output


NO_ANSWER = [
    ([{"type": "javascript", "value": "output.includes('sky')", "weight": 3},
      {"type": "icontains", "value": "blue"}], "something else is asserted of it, too"),
    ([{"type": "equals", "value": 4, "transform": "output.length"}],
     "it is asserted of what 'transform' makes of the answer"),
    ([{"type": "contains", "value": "a"}, {"type": "contains", "value": "b"}],
     "none of them is known to be all of it"),
    ([{"type": "equals", "value": "blue"}, {"type": "regex", "value": "^[A-Z]+$"}],
     "no answer passes it: its 'regex' fails on its right answer"),
    ([{"type": "equals", "value": "blue"}, {"type": "not-contains", "value": "blue"}],
     "no answer passes it: its 'not-contains' fails"),
    ([{"type": "equals", "value": "blue", "weight": 0}], "with the weight 0 it decides nothing"),
    ([{"type": "contains", "value": '"c": "blue"'}, {"type": "is-json"}],
     "something else is asserted of it, too"),
    ([{"type": "contains", "value": "blue"}, {"type": "starts-with", "value": "The"}],
     "the assertion 'starts-with': what must be in the answer of its test breaks it"),
    ([{"type": "contains", "value": ""}], "its value cannot be worked out here: it is empty"),
    ([{"type": "equals"}], "its value cannot be worked out here: it has none"),
    ([{"type": "equals", "value": {"c": "{{thing}}"}}], "fills in no variables inside an object"),
    ([{"type": "javascript", "value": "output.c === 'blue'"}], "it is code"),
    ([{"type": "assert-set", "threshold": 0.5, "assert": BLUE}], "none of them says what is right"),
]  # fmt: skip


@pytest.mark.parametrize(("asserted", "output"), NO_ANSWER)
def test_nothing_becomes_a_right_answer_that_was_none(
    bench: Bench, asserted: list[object], output: str
) -> None:
    assert output in bench.refuse({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})


def test_a_text_that_is_in_no_field_of_the_right_answer_has_a_line(bench: Bench) -> None:
    asserted = [{"type": "equals", "value": {"c": "blue"}}, {"type": "contains", "value": "z"}]
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})
    assert "the assertion 'contains': it says something of a right answer" in output


@pytest.mark.parametrize("code", ["output.length", "output.split(' ')[0]"])
def test_an_answer_that_is_changed_first_is_no_right_answer(bench: Bench, code: str) -> None:
    test = case({"thing": "sky"}, options={"transform": code})
    assert "'transform' changes the answer" in bench.refuse({**ASK, "tests": [test]})


def test_several_texts_between_commas(bench: Bench) -> None:
    both = {"type": "contains-all", "value": 'blue, "x, y"'}
    label = {"type": "contains", "value": "blue x, y"}
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, label, both)]})
    assert bench.answers() == [{"answer": "blue x, y"}]
    assert "the assertion 'contains-all': holds of the right answer" in output


def test_a_pattern_that_cannot_be_read_here_refuses_its_own_test_only(bench: Bench) -> None:
    behind = {"type": "regex", "value": "(?<=b)lue"}
    label = {"type": "contains", "value": "blue"}
    tests = [case({"thing": "sky"}, label, behind), case({"thing": "sea"})]
    output = bench.take({**ASK, "tests": tests})
    assert bench.asked() == ["Colour of sea?"]
    assert "patterns here are those of RE2, which look neither around nor back" in output


@pytest.mark.parametrize("as_text", [True, False])
def test_an_older_schema_and_one_written_as_text(bench: Bench, as_text: bool) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["c"],
        "properties": {"c": {"$ref": "#/definitions/colour"}},
        "definitions": {"colour": {"type": "string"}},
    }
    asserted = [
        {"type": "is-json", "value": json.dumps(schema) if as_text else schema},
        {"type": "javascript", "value": "JSON.parse(output).c === 'blue'"},
    ]
    bench.take({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})
    assert bench.prompt.output["properties"] == {"c": {"$ref": "#/$defs/colour"}}
    assert bench.prompt.output["$defs"] == {"colour": {"type": "string"}}
    assert bench.answers() == [{"c": "blue"}]


def test_a_format_that_is_not_asserted_here_has_a_line(bench: Bench) -> None:
    properties = {"a": {"type": "string", "format": "uri-template"},
                  "b": {"type": "string", "format": "email"}}  # fmt: skip
    schema = {"type": "object", "properties": properties}
    asserted = [{"type": "is-json", "value": schema}, {"type": "equals", "value": {"a": "x"}}]
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})
    assert "the format 'uri-template' of the schema: promptfoo's validator" in output
    assert "the format 'email'" not in output


def test_steps_that_are_no_whole_numbers_have_a_line(bench: Bench) -> None:
    properties = {"n": {"type": "number", "multipleOf": 0.01}}
    schema = {"type": "object", "properties": properties}
    asserted = [{"type": "is-json", "value": schema}, {"type": "equals", "value": {"n": 0.07}}]
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *asserted)]})
    assert "a 'multipleOf' of the schema that is no whole number" in output


def test_a_schema_with_a_pattern_of_its_own_kind_is_lost_alone(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"c": {"type": "string", "pattern": "(?=b)"}}}
    asserted = [{"type": "is-json", "value": schema}, {"type": "equals", "value": {"c": "blue"}}]
    tests = [case({"thing": "sky"}, *asserted), case({"thing": "sea"}, asserted[1])]
    output = bench.take({**ASK, "tests": tests})
    assert len(bench.examples) == 2
    assert "the schema of 'is-json': it is no JSON Schema" in output
    assert (
        "the assertion 'is-json': a task has one output schema, and this is another, or none"
        in output
    )


def test_a_class_of_unicode_is_taken_and_told(bench: Bench) -> None:
    pattern = {"type": "regex", "value": r"^\p{L}+$"}
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *BLUE, pattern)]})
    assert "the assertion 'regex': matches a class of Unicode here" in output


@pytest.mark.parametrize("change", [{"providers": []}, {"prompts": "file://."}, {"tests": "."}])
def test_what_is_empty_or_a_folder_ends_in_a_sentence(
    bench: Bench, change: dict[str, object]
) -> None:
    path = bench.write("promptfooconfig.yaml", {**ASK, "tests": [case({"thing": "x"})], **change})
    bench.workshop.take("fresh", path)
    assert "Traceback" not in bench.capsys.readouterr().err


def test_what_a_scenario_and_a_table_say_beside_tests(bench: Bench) -> None:
    header = "thing,__expected,__metadata:from[]"
    bench.write("t.csv", f'{header}\nsea,not-contains:red,\nsky,blue,"a , b\\,c"\n')
    sets = [{"vars": {"thing": "fog"}}]
    scenario = {"description": "x", "config": sets, "tests": [{"assert": BLUE}]}
    output = bench.take({**ASK, "tests": "file://t.csv", "scenarios": [scenario]})
    assert bench.asked() == ["Colour of sky?", "Colour of fog?"]
    assert bench.examples[0].tags == ("from:a", "from:b,c")
    assert "'description' of a scenario" in output
    assert "the assertion 'not-contains': scorers say what is right, not what is wrong" in output


# --- Providers ---------------------------------------------------------------------------------


def test_everything_that_a_provider_says_has_a_line(bench: Bench) -> None:
    for provider in (
        {"id": PROVIDER, "transform": "output.trim()", "delay": 10},
        {PROVIDER: {"transform": "output.trim()", "delay": 10}},
    ):
        path = bench.write(
            "promptfooconfig.yaml",
            {**ASK, "providers": [provider], "tests": [case({"thing": "sky"})]},
        )
        assert bench.workshop.take("fresh", path, "--json") == ExitCode.OK
        output = bench.capsys.readouterr().out
        assert "'transform' of a provider" in output
        assert "'delay' of a provider" in output
        break


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("bedrock:converse:eu.amazon.nova-lite-v1:0", "eu.amazon.nova-lite-v1:0"),
        ("bedrock:us.anthropic.claude-sonnet-4-v1:0", "us.anthropic.claude-sonnet-4-v1:0"),
        ("bedrock:agents:ABC", None),
        ("bedrock:kb:us.anthropic.claude-sonnet-4", None),
        ("openai:embedding:text-embedding-3-small", None),
    ],
)
def test_what_is_asked_with_messages_is_a_model(
    bench: Bench, name: str, setting: str | None
) -> None:
    config = {**ASK, "providers": [name], "tests": [case({"thing": "sky"})]}
    path = bench.write("promptfooconfig.yaml", config)
    assert bench.workshop.take("fresh", path) == ExitCode.OK
    output = bench.capsys.readouterr().out
    assert (f'"model": "{setting}"' in output) is (setting is not None)
    assert (f"the provider '{name}'" in output) is (setting is None)
