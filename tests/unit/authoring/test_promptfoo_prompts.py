"""An import asks what promptfoo asks; or it says so."""

from __future__ import annotations

import json

import pytest

from prompt_hub.core.errors import ExitCode
from tests.unit.authoring.bench import ASK, BLUE, PROVIDER, Bench, case

# --- Prompts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.py:ask", "p.js:ask", "./lib/p.mjs:ask", "file://p.ts:ask"])
def test_a_function_that_makes_the_prompt_is_no_text(bench: Bench, name: str) -> None:
    output = bench.refuse({**ASK, "prompts": [name], "tests": [case({"thing": "sky"})]})
    assert "is a program; a prompt here is a template" in output


def test_a_prompt_that_is_not_there_is_told_from_those_that_are(bench: Bench) -> None:
    prompts = [{"raw": "Colour of {{thing}}?", "label": "short\x1b[2J\nNext:"}]
    config = {**ASK, "prompts": prompts, "tests": [case({"thing": "sky"})]}
    path = bench.write("promptfooconfig.yaml", config)
    assert bench.workshop.take("task", path, "--prompt", "2") == ExitCode.USAGE
    error = bench.capsys.readouterr().err
    assert error.endswith("there is no prompt 2. There are: 1 short [2J Next:.\n")


def test_variables_that_nobody_reads_are_listed_as_tests_have_them(bench: Bench) -> None:
    unread = dict.fromkeys("hgfedcba", "x")
    output = bench.take({**ASK, "tests": [case({**unread, "thing": "sky"})]})
    why = "is not read by the prompt, so it is no part of the input"
    listed = [line.split("'")[1] for line in output.splitlines() if line.endswith(why)]
    assert listed == [*unread]


def test_one_prompt_needs_no_list(bench: Bench) -> None:
    bench.write("chat.json", json.dumps([{"role": "user", "content": "Colour of {{thing}}?\n"}]))
    bench.take({**ASK, "prompts": "file://chat.json", "tests": [case({"thing": "sky"})]})
    assert bench.asked() == ["Colour of sky?\n"]


@pytest.mark.parametrize("pattern", ["p/**.txt", "p/*.txt", "**/*.txt", "**.d/one**.txt"])
def test_a_pattern_of_files_means_what_it_means_there(bench: Bench, pattern: str) -> None:
    bench.write("p/one.txt", "Colour of {{thing}}?")
    bench.write("p.d/one.txt", "Colour of {{thing}}?")
    tests = [case({"thing": "sky"})]
    bench.take({**ASK, "prompts": [f"file://{pattern}"], "tests": tests})
    assert bench.asked() == ["Colour of sky?"]


@pytest.mark.parametrize(
    "name", ["prompts/*", "my prompts/a.txt", "my prompts/*.txt", "prompts\\*.txt", "my a.txt"]
)
def test_a_path_without_a_scheme_is_a_file_where_there_is_one(bench: Bench, name: str) -> None:
    for file in ("prompts/a.txt", "my prompts/a.txt", "my a.txt"):
        bench.write(file, "Colour of {{thing}}?")
    # What is hidden matches no '*' of promptfoo's, and one broken file costs no other.
    bench.write("prompts/.DS_Store", "x")
    bench.write("prompts/build.py", "x")
    output = bench.take({**ASK, "prompts": [name], "tests": [case({"thing": "sky"})]})
    assert bench.asked() == ["Colour of sky?"]
    assert ("prompts/build.py is a program" in output) is (name == "prompts/*")
    assert "DS_Store" not in output


@pytest.mark.parametrize(
    "text",
    [
        "Colour of {{thing}}, and/or its hue?",
        "Write *one* colour of {{thing}}",
        "[a-z]* [/ of {{thing}}",
        "a/" * 4000 + "{{thing}}",
        "*/" * 3000 + "{{thing}}",
        "/*/{{thing}}",
        "*/\u20ac\\{{thing}}",
        "{{thing}}/{{thing}}",
        "../*/no file of {{thing}}",
        "\\*{{thing}}* colour?",
        "\\\\srv\\*{{thing}}",
    ],
    ids=range(11),
)
def test_a_text_that_looks_like_a_path_is_a_text(bench: Bench, text: str) -> None:
    bench.take({**ASK, "prompts": [text], "tests": [case({"thing": "sky"})]})
    assert bench.asked() == [text.replace("{{thing}}", "sky")]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_pattern_with_braces_is_refused(bench: Bench, scheme: str) -> None:
    bench.write("prompts/a.txt", "Colour of {{thing}}?")
    prompts = [f"{scheme}prompts/{{a,b}}.txt"]
    output = bench.refuse({**ASK, "prompts": prompts, "tests": [case({"thing": "sky"})]})
    assert "a pattern with braces; name the files" in output


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


def test_a_tag_over_two_lines_refuses_the_prompt(bench: Bench) -> None:
    prompt = "Colour of {{ thing\n | upper }}?"
    output = bench.refuse({**ASK, "prompts": [prompt], "tests": [case({"thing": "sky"})]})
    assert "a tag over several lines, for which promptfoo fills in none" in output


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


def test_texts_of_a_table_that_are_compared_with_numbers_are_listed(bench: Bench) -> None:
    bench.write("t.csv", "thing,legs,__expected\nfly,6,blue\nspider,8,blue\n")
    prompt = "{{thing}}: {% if legs == 6 %}six{% else %}others{% endif %}"
    output = bench.refuse({**ASK, "prompts": [prompt], "tests": "file://t.csv"})
    assert "cannot be worked out: a comparison of values of two types" in output


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
    bench.workshop.take("task", path)
    captured = bench.capsys.readouterr()
    assert "Nunjucks and Jinja2 differ" in captured.out + captured.err or (
        "cannot be" in captured.out + captured.err
        or "which is not translated" in captured.out + captured.err
    )


def test_what_one_variable_hides_is_found_behind_it(bench: Bench) -> None:
    tests = [case({"thing": "sky", "on": n % 2 == 0, "who": None}) for n in range(4)]
    prompt = "{{ thing }} {{ on }} {{ who | default('nobody') }}{{ gone }}{{ far | default('x') }}"
    output = bench.take({**ASK, "prompts": [prompt], "tests": tests})
    assert bench.asked() == ["sky true x", "sky false x"] * 2
    assert "the variable 'gone' (and 3 more like it): is an empty text" in output
    assert "the variable 'far': may be left out" in output


def test_tests_that_differ_alike_share_a_line(bench: Bench) -> None:
    tests = [case({"thing": {"n": n}}) for n in range(5)] + [case({"thing": "sky"})]
    output = bench.take({**ASK, "prompts": ["{{ thing | upper }}{{ thing }}"], "tests": tests})
    assert bench.asked() == ["SKYsky"]
    assert "a test (and 4 more like it): what promptfoo sends for it cannot be worked" in output


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
    bench.write("d.csv", "a,b\n1,2\n")
    bench.write("d.txt", " text \n\n")
    values = {name: f"file://d.{name}" for name in ("json", "csv", "txt")}
    prompt = "{{json}}|{{csv}}|{{txt}}"
    bench.write("d.yaml", "k: 1.0\n")
    tests = [case(values), case({**values, "txt": "file://d.yaml"})]
    output = bench.take({**ASK, "prompts": [prompt], "tests": tests})
    assert bench.asked() == ['{"k": [1, 2]}|a,b\n1,2|text']
    assert "a test: d.yaml is no text; promptfoo makes another of it" in output


def test_variables_of_a_file_lie_beside_the_file_that_names_them(bench: Bench) -> None:
    bench.write("cases/v1.yaml", "thing: sky\n")
    bench.write("cases/all.yaml", [{"vars": "v*.yaml", "assert": BLUE}])
    bench.take({**ASK, "tests": ["cases/all.yaml"]})
    assert bench.asked() == ["Colour of sky?"]
    bench.workshop.folder.root.joinpath("x").touch()
    bench.write("cases/all.yaml", [{"vars": "w*.yaml", "assert": BLUE}, case({"thing": "sea"})])
    path = bench.write("promptfooconfig.yaml", {**ASK, "tests": ["cases/all.yaml"]})
    assert bench.workshop.take("other", path) == ExitCode.OK
    assert "the variables in w*.yaml: no file has such a name" in bench.capsys.readouterr().out


def test_variables_of_a_file_with_its_scheme_are_read_by_nobody(bench: Bench) -> None:
    bench.write("v.yaml", "thing: sky\n")
    default = {"defaultTest": {"vars": "v.yaml"}}
    output = bench.take({**ASK, **default, "tests": [{"vars": "file://v.yaml", "assert": BLUE}]})
    assert bench.asked() == ["Colour of ?"]
    assert "the variables in file://v.yaml: promptfoo finds none" in output
    assert "the variables in v.yaml: promptfoo finds none by such a name" in output


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_prompts_in_a_table_are_listed(bench: Bench, name: str) -> None:
    bench.write(name, "prompt\nColour of {{thing}}?\n")
    prompts = [name, *ASK["prompts"]]
    output = bench.take({**ASK, "prompts": prompts, "tests": [case({"thing": "sky"})]})
    assert bench.asked() == ["Colour of sky?"]
    assert f"the prompt '{name}': {name} is a table of prompts; write them out" in output


def test_what_nobody_sees_is_listed_before_anything_is_written(bench: Bench) -> None:
    tests = [case({"thing": "sky\u2028"}), case({"thing": "sea"})]
    prompts = ["Colour\u200b of {{thing}}?", *ASK["prompts"]]
    output = bench.take({**ASK, "prompts": prompts, "tests": tests})
    assert bench.asked() == ["Colour of sea?"]
    assert "a test: it holds the character U+2028" in output
    assert "it holds the character U+200B (ZERO WIDTH SPACE), which nobody sees" in output


def test_values_lose_one_line_end_and_take_each_other_in(bench: Bench) -> None:
    values = {"a": "x\n\n", "b": "{{ c }}!", "c": "y", "thing": "{{ c | upper }}"}
    bench.take({**ASK, "prompts": ["{{a}}|{{b}}|{{thing}}"], "tests": [case(values)]})
    assert bench.asked() == ["x\n|y!|Y"]


@pytest.mark.parametrize("inner", ["1 $ each", 5, "{{ thing }}", None])
def test_a_value_that_takes_in_more_than_a_text_is_listed(bench: Bench, inner: object) -> None:
    tests = [case({"thing": "{{ cost }}!", "cost": inner}), case({"thing": "sea"})]
    output = bench.take({**ASK, "tests": tests})
    assert bench.asked() == ["Colour of sea?"]
    assert "the variable 'thing' is a template itself, of more than other texts" in output


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


def test_a_scenario_in_files_costs_no_scenario_behind_it(bench: Bench) -> None:
    config = [{"vars": {"thing": "sky"}}, {"vars": {"thing": "sea"}}]
    in_files = {"config": config, "tests": "file://more.yaml"}
    whole = {"config": config, "tests": [{"assert": BLUE}]}
    output = bench.take({**ASK, "scenarios": [in_files, whole]})
    assert bench.asked() == ["Colour of sky?", "Colour of sea?"]
    assert "a scenario: its variables or tests are in files; write them out as tests" in output


def test_a_cell_of_a_table_may_be_long(bench: Bench) -> None:
    bench.write("t.csv", f'thing,__expected\n"{"x" * 140_000}",blue\n')
    bench.take({**ASK, "prompts": ["{{thing}}"], "tests": "file://t.csv"})
    assert len(bench.asked()[0]) == 140_000


@pytest.mark.parametrize("option", ["prefix", "suffix"])
def test_what_stands_around_a_prompt_makes_another_of_it(bench: Bench, option: str) -> None:
    around = {"options": {option: "Answer in one word."}}
    error = bench.refuse({**ASK, "defaultTest": around, "tests": [case({"thing": "sky"})]})
    assert "'prefix' or 'suffix' makes another prompt of it" in error
    lines = bench.take({**ASK, "tests": [case({"thing": "sky"}), case({"thing": "sea"}, **around)]})
    assert "'prefix' or 'suffix' makes another prompt of it; write it into the prompt" in lines
    assert bench.asked() == ["Colour of sky?"]
