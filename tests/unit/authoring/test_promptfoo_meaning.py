"""An import asks what promptfoo asked, and takes for right what promptfoo passes; or it says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.rendering import render
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring.metadata import read_metadata
from prompt_hub.scoring.registry import build_scorers
from tests.unit.authoring.workshop import Workshop

PROVIDER = "openai:gpt-4o-mini"
ASK = {"prompts": ["Colour of {{thing}}?"], "providers": [PROVIDER]}
BLUE = [{"type": "equals", "value": "blue"}]


@dataclass
class Bench:
    """Imports configurations, and shows what came of them."""

    workshop: Workshop
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def write(self, name: str, content: object) -> str:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    def take(self, config: object, *more: str) -> str:
        """Import a configuration that can be, and return what was output."""
        path = self.write("promptfooconfig.yaml", config)
        words = ("--from-promptfoo", path, "--model", "catalogue-pinned", *more)
        ended = self.workshop.new("task", *words)
        captured = self.capsys.readouterr()
        assert (ended, captured.err) == (ExitCode.OK, "")
        problems = [found.problem for found in self.workshop.folder.findings()]
        assert [item for item in problems if item.severity == "error"] == []
        return captured.out

    def refuse(self, config: object) -> str:
        """Import a configuration that cannot be, and return why."""
        path = self.write("promptfooconfig.yaml", config)
        before = self.workshop.snapshot()
        assert self.workshop.new("task", "--from-promptfoo", path) == ExitCode.BLOCKED
        assert self.workshop.snapshot() == before
        error = self.capsys.readouterr().err
        assert "Traceback" not in error
        return error

    @property
    def prompt(self) -> Prompt:
        """The imported prompt."""
        return self.workshop.folder.repository.draft("task")

    @property
    def examples(self) -> list[Example]:
        """The imported examples."""
        return list(self.workshop.folder.repository.examples("task"))

    def asked(self) -> list[str]:
        """What the user's last message says for each example."""
        return [render(self.prompt, item.input)[-1]["content"] for item in self.examples]

    def answers(self) -> list[JsonObject]:
        """The right answers."""
        return [example.expected for example in self.examples]

    def score(self, index: int, output: JsonObject) -> float:
        """What an answer is worth for one example."""
        repository = self.workshop.folder.repository
        scorers = build_scorers(read_metadata(repository, "task").scorers, self.prompt.output)
        parts = [scorer.part(output, self.examples[index]) for scorer in scorers]
        return sum(part.score * part.weight for part in parts) / sum(part.weight for part in parts)


@pytest.fixture
def bench(workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    """A project folder and a repository."""
    return Bench(workshop, tmp_path / "project", capsys)


def case(values: object, *asserted: object, **more: object) -> dict[str, object]:
    return {"vars": values, "assert": [*asserted] or BLUE, **more}


# --- Prompts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.py:ask", "p.js:ask", "./lib/p.mjs:ask", "file://p.ts:ask"])
def test_a_function_that_makes_the_prompt_is_no_text(bench: Bench, name: str) -> None:
    output = bench.refuse({**ASK, "prompts": [name], "tests": [case({"thing": "sky"})]})
    assert "is a program; a prompt here is a template" in output


def test_one_prompt_needs_no_list(bench: Bench) -> None:
    bench.write("chat.json", json.dumps([{"role": "user", "content": "Colour of {{thing}}?\n"}]))
    bench.take({**ASK, "prompts": "file://chat.json", "tests": [case({"thing": "sky"})]})
    assert bench.asked() == ["Colour of sky?\n"]


@pytest.mark.parametrize("suffix", [".md", ".j2"])
def test_a_rule_does_not_cut_a_whole_file(bench: Bench, suffix: str) -> None:
    text = "---\nname: x\n---\nColour of {{thing}}?\n\n---\n\nOne word.\n"
    bench.write(f"p{suffix}", text)
    bench.take({**ASK, "prompts": [f"p{suffix}"], "tests": [case({"thing": "sky"})]})
    assert bench.asked() == [text.replace("{{thing}}", "sky")]


def test_a_text_file_is_cut_at_lines_of_dashes(bench: Bench) -> None:
    bench.write("p.txt", "\r\nOne: {{thing}}?\r\n  ---\t\r\nTwo: {{thing}}?\n---\n---\nThree\n")
    output = bench.take({**ASK, "prompts": ["p.txt"], "tests": [case({"thing": "sky"})]})
    assert bench.asked() == ["One: sky?"]
    assert "p.txt:4: the prompt 'prompt 2'" in output
    assert "p.txt:7: the prompt 'prompt 3'" in output


def test_a_chat_in_yaml_is_messages(bench: Bench) -> None:
    chat = "- role: system\n  content: One word.\n- role: user\n  content: Colour of {{thing}}?\n"
    bench.take({**ASK, "prompts": [chat], "tests": [case({"thing": "sky"})]})
    assert [message.role for message in bench.prompt.messages] == ["system", "user"]
    assert bench.asked() == ["Colour of sky?"]


def test_a_value_that_breaks_a_chat_in_yaml_is_lost(bench: Bench) -> None:
    chat = "- role: user\n  content: Colour of {{thing}}?\n"
    tests = [case({"thing": "sky"}), case({"thing": "sky: blue # or not"})]
    output = bench.take({**ASK, "prompts": [chat], "tests": tests})
    assert bench.asked() == ["Colour of sky?"]
    assert "a test: what promptfoo sends for it cannot be worked out" in output


def test_a_chat_that_is_json_only_when_filled_in_is_refused(bench: Bench) -> None:
    chat = '[{% if hint %}{"role": "system", "content": "x"},{% endif %}{"role": "user"}]'
    output = bench.refuse({**ASK, "prompts": [chat], "tests": [case({"thing": "sky"})]})
    assert "it is JSON only when its variables are filled in" in output


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ thing | nl2br }}", "the filter 'nl2br'"),
        ("{{ thing ~ 'x' }}", "the operator '~'"),
        ("{% set a = thing %}{{ a }}", "a tag ({% set %})"),
        ("{{ thing | upper }}", "the filter 'upper', which nunjucksFilters defines"),
    ],
)
def test_what_templates_here_have_not_refuses_the_prompt(
    bench: Bench, template: str, named: str
) -> None:
    config = {"prompts": [template, "Colour of {{thing}}?"], "providers": [PROVIDER]}
    own = {"nunjucksFilters": {"upper": "./upper.js"}}
    output = bench.take({**config, **own, "tests": [case({"thing": "sky"})]})
    assert f"it uses {named}" in output
    assert bench.asked() == ["Colour of sky?"]


def test_a_tag_over_two_lines_is_sent_as_it_stands(bench: Bench) -> None:
    prompt = "Colour of {{ thing\n | upper }}?"
    output = bench.take({**ASK, "prompts": [prompt], "tests": [case({"thing": "sky"})]})
    assert bench.asked() == [prompt]
    assert "promptfoo fills nothing in" in output


# --- Values ------------------------------------------------------------------------------------


def test_a_variable_that_is_not_there_is_not_an_empty_one(bench: Bench) -> None:
    prompt = "{{thing}} {{ who | default('nobody') }}{% if why is defined %} ({{why}}){% endif %}"
    tests = [case({"thing": "sky"}), case({"thing": "sea", "who": "us", "why": "x"})]
    bench.take({**ASK, "prompts": [prompt], "tests": tests})
    assert bench.asked() == ["sky nobody", "sea us (x)"]
    assert bench.prompt.input["required"] == ["thing"]


def test_a_variable_that_is_not_there_is_nothing_where_it_is_written(bench: Bench) -> None:
    tests = [case({"thing": "sky", "note": None}), case({"thing": "sea", "note": "x"}),
             case({"thing": "sun"})]  # fmt: skip
    bench.take({**ASK, "prompts": ["{{thing}} [{{note}}]"], "tests": tests})
    assert bench.asked() == ["sky []", "sea [x]", "sun []"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("5.0", "5"), ("1e3", "1000"), ("0x1F", "31"), ("0o17", "15"), ("012", "12"),
        ("1.50", "1.5"), ("12345678901234567890", "12345678901234567000"), ("0.0000001", "1e-7"),
        ("9007199254740993", "9007199254740992"), ("1e21", "1e+21"), ("true", "true"),
        ("yes", "yes"), ("12:30", "12:30"), ("1_000", "1_000"), ("~", ""),
    ],
)  # fmt: skip
def test_numbers_are_those_of_javascript(bench: Bench, written: str, sent: str) -> None:
    prompts = "prompts: ['{{x}} V?']\nproviders: [openai:gpt-4o-mini]\n"
    asserted = "[{type: equals, value: blue}]"
    bench.take(f"{prompts}tests: [{{vars: {{x: {written}}}, assert: {asserted}}}]\n")
    assert bench.asked() == [f"{sent} V?"]


def test_texts_of_a_table_are_compared_with_numbers(bench: Bench) -> None:
    bench.write("t.csv", "thing,legs,__expected\nfly,6,blue\nspider,8,blue\n")
    prompt = "{{thing}}: {% if legs == 6 %}six{% else %}others{% endif %}"
    bench.take({**ASK, "prompts": [prompt], "tests": "file://t.csv"})
    assert bench.asked() == ["fly: six", "spider: others"]


@pytest.mark.parametrize(
    ("prompt", "value"),
    [
        ("{{thing}}{% if x %} some{% endif %}", []),
        ("{{thing}}{% if x %} some{% endif %}", {}),
        ("{{thing}} {{ x | round }}", 2.5),
        ("{{thing}} {{ x | title }}", "o'neil-smith"),
        ("{{thing}} {{ x | truncate(5) }}", "abc defgh"),
        ("{{thing}} {{ x }}", {"a": 1}),
        ("{{thing}} {{ x.length }}|", {"a": 1}),
        ("{{thing}} {{ x | upper }}", 5),
        ("{{thing}} {{ x | sort | join }}", ["b", "A"]),
    ],
)
def test_what_the_two_languages_render_otherwise_is_lost(
    bench: Bench, prompt: str, value: object
) -> None:
    off = {"options": {"disableVarExpansion": True}}
    tests = [case({"thing": "sky", "x": value}, **off), case({"thing": "sea", "x": "y"})]
    path = bench.write("promptfooconfig.yaml", {**ASK, "prompts": [prompt], "tests": tests})
    bench.workshop.new("task", "--from-promptfoo", path)
    captured = bench.capsys.readouterr()
    assert "Nunjucks and Jinja2 differ" in captured.out + captured.err or (
        "cannot be" in captured.out + captured.err
    )


def test_lists_stand_for_tests_where_they_begin_with_a_text(bench: Bench) -> None:
    prompt = "{{thing}} {{ sizes | join(' ') }}"
    tests = [
        case({"thing": ["sky", "sea"], "sizes": [1, 2]}),
        case({"thing": "sun", "sizes": []}),
        case({"thing": "fog", "sizes": ["a", "b"]}, options={"disableVarExpansion": True}),
    ]
    bench.take({**ASK, "prompts": [prompt], "tests": tests})
    assert bench.asked() == ["sky 1 2", "sea 1 2", "sun ", "fog a b"]


def test_a_loop_gets_the_bound_that_it_needs(bench: Bench) -> None:
    prompt = "{{thing}}{% for p in parts.list %} {{ p.n }}{% endfor %}"
    tests = [
        case({"thing": "sky", "parts": {"list": [{"n": 1}, {"n": 2}]}}),
        case({"thing": "sea", "parts": {"list": [{"n": 3}]}}),
    ]
    output = bench.take({**ASK, "prompts": [prompt], "tests": tests})
    assert bench.asked() == ["sky 1 2", "sea 3"]
    assert "the list 'parts.list': holds 2 elements at most" in output


def test_files_of_variables_are_texts(bench: Bench) -> None:
    bench.write("d.json", '{"k": [1, 2]}\n')
    bench.write("d.yaml", "k: 1.0\nl: [a]\n")
    bench.write("d.csv", "a,b\n1,2\n")
    bench.write("d.txt", " text \n\n")
    values = {name: f"file://d.{name}" for name in ("json", "yaml", "csv", "txt")}
    prompt = "{{json}}|{{yaml}}|{{csv}}|{{txt}}"
    bench.take({**ASK, "prompts": [prompt], "tests": [case(values)]})
    assert bench.asked() == ['{"k": [1, 2]}|{"k":1,"l":["a"]}|a,b\n1,2|text']


def test_variables_of_a_file_lie_beside_the_file_that_names_them(bench: Bench) -> None:
    bench.write("cases/v1.yaml", "thing: sky\n")
    bench.write("cases/all.yaml", [{"vars": "v*.yaml", "assert": BLUE}])
    bench.take({**ASK, "tests": ["cases/all.yaml"]})
    assert bench.asked() == ["Colour of sky?"]
    bench.workshop.folder.root.joinpath("x").touch()
    bench.write("cases/all.yaml", [{"vars": "w*.yaml", "assert": BLUE}, case({"thing": "sea"})])
    path = bench.write("promptfooconfig.yaml", {**ASK, "tests": ["cases/all.yaml"]})
    assert bench.workshop.new("other", "--from-promptfoo", path) == ExitCode.OK
    assert "the variables in w*.yaml: no file has such a name" in bench.capsys.readouterr().out


def test_values_lose_one_line_end_and_take_each_other_in(bench: Bench) -> None:
    values = {"a": "x\n\n", "b": "{{ c }}!", "c": "y", "thing": "{{ c | upper }}"}
    bench.take({**ASK, "prompts": ["{{a}}|{{b}}|{{thing}}"], "tests": [case(values)]})
    assert bench.asked() == ["x\n|y!|Y"]


def test_a_date_without_quotes_is_lost_there(bench: Bench) -> None:
    text = (
        "prompts: ['{{d}}?']\nproviders: [openai:gpt-4o-mini]\ntests:\n"
        "  - {vars: {d: 2026-01-02}, assert: [{type: equals, value: blue}]}\n"
        "  - {vars: {d: '2026-01-02'}, assert: [{type: equals, value: blue}]}\n"
    )
    output = bench.take(text)
    assert bench.asked() == ["2026-01-02?"]
    assert "promptfooconfig.yaml:4: a test: " in output


def test_scenarios_are_the_combinations_that_they_stand_for(bench: Bench) -> None:
    scenario = {
        "config": [{"vars": {"thing": "sky"}}, {"vars": {"thing": "sea"}}],
        "tests": [{"assert": BLUE}, {"vars": {"thing": "fog"}, "assert": BLUE}],
    }
    bench.take({**ASK, "scenarios": [scenario]})
    assert bench.asked() == [f"Colour of {name}?" for name in ("sky", "fog", "sea", "fog")]


def test_a_cell_of_a_table_may_be_long(bench: Bench) -> None:
    bench.write("t.csv", f'thing,__expected\n"{"x" * 140_000}",blue\n')
    bench.take({**ASK, "prompts": ["{{thing}}"], "tests": "file://t.csv"})
    assert len(bench.asked()[0]) == 140_000


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
    bench.take({**ASK, "tests": tests})
    assert bench.score(1, {"c": "green", "mood": "wild", "reason": "waves"}) == 1
    assert bench.score(0, {"c": "blue", "mood": "wild"}) == 0.5
    assert bench.score(0, {"c": "Blue ", "mood": "calm"}) == 0.5
    assert bench.prompt.output.get("additionalProperties") is None


def test_equal_objects_are_compared_with_case_and_white_space(bench: Bench) -> None:
    tests = [case({"thing": "sky"}, {"type": "equals", "value": '{"c": "blue"}'})]
    output = bench.take({**ASK, "tests": tests})
    assert bench.score(0, {"c": "blue"}) == 1
    assert bench.score(0, {"c": "Blue "}) == 0
    assert "is compared as JSON, not letter by letter" in output


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
    assert "patterns here look neither around nor back" in output


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
    colour = {"type": "string"} if as_text else {"$ref": "#/$defs/colour"}
    assert bench.prompt.output["properties"] == {"c": colour}
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


def test_a_schema_with_a_pattern_of_its_own_kind_is_lost_alone(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"c": {"type": "string", "pattern": "(?=b)"}}}
    asserted = [{"type": "is-json", "value": schema}, {"type": "equals", "value": {"c": "blue"}}]
    tests = [case({"thing": "sky"}, *asserted), case({"thing": "sea"}, asserted[1])]
    output = bench.take({**ASK, "tests": tests})
    assert len(bench.examples) == 2
    assert "the schema of 'is-json': it is no JSON Schema" in output
    assert "the assertion 'is-json': its schema cannot be held against answers here" in output


def test_a_class_of_unicode_is_taken_and_told(bench: Bench) -> None:
    pattern = {"type": "regex", "value": r"^\p{L}+$"}
    output = bench.take({**ASK, "tests": [case({"thing": "sky"}, *BLUE, pattern)]})
    assert "the assertion 'regex': matches a class of Unicode here" in output


@pytest.mark.parametrize("change", [{"providers": []}, {"prompts": "file://."}, {"tests": "."}])
def test_what_is_empty_or_a_folder_ends_in_a_sentence(
    bench: Bench, change: dict[str, object]
) -> None:
    path = bench.write("promptfooconfig.yaml", {**ASK, "tests": [case({"thing": "x"})], **change})
    bench.workshop.new("fresh", "--from-promptfoo", path)
    assert "Traceback" not in bench.capsys.readouterr().err


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
        assert bench.workshop.new("fresh", "--from-promptfoo", path, "--json") == ExitCode.OK
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
    assert bench.workshop.new("fresh", "--from-promptfoo", path) == ExitCode.OK
    output = bench.capsys.readouterr().out
    assert (f'"model": "{setting}"' in output) is (setting is not None)
    assert (f"the provider '{name}'" in output) is (setting is None)
