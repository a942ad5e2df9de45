"""Broken YAML, JSON and templates: what is wrong and how it should be, in no parser's words."""

from __future__ import annotations

import pytest

from prompt_hub.repository.documents import InvalidDocumentsError, Problem
from prompt_hub.repository.json import parse_json, parse_jsonl
from prompt_hub.repository.syntax_words import jinja_words, json_words, yaml_words
from prompt_hub.repository.templates import read
from prompt_hub.repository.yaml import parse_yaml

YAML = {
    "a: {b: 1\nc: 2}\n": "a bracket that is not closed by '}'",
    "a: [1\nb: 2\n": "a bracket that is not closed by ']'",
    "a: b\nc\n": "a line without ':'; expected a key and value, as in 'a: b'",
    "a: b: c\n": "a second ':' in a line; expected a text with a colon in quotes",
    "a: 'b\n": "a quote that is never closed; expected its closing quote",
    "a: `b`\n": "a character that no value begins with; expected the text in quotes",
    "a: {{ title }}\n": (
        "brackets in brackets, such as of '{{ title }}', which YAML reads as a mapping; expected"
        " the text in quotes, or behind | on lines of its own"
    ),
    "a: - b\n": "a '-' where no list can begin; expected the list on lines of its own",
    'a: "\\d"\n': "a backslash in double quotes that begins no escape",
    "a: 'it's'\n": "something that is no key; expected a key as far indented",
    "a:\n  - b\n  c: d\n": "a line that is no entry of the list; expected '- ' as far indented",
    "a: | text\n": "something behind | or > on the same line",
}


def yaml_problem(text: str) -> Problem:
    with pytest.raises(InvalidDocumentsError) as error:
        parse_yaml(text, "a.yaml")
    return error.value.problems[0]


@pytest.mark.parametrize(("text", "says"), YAML.items())
def test_broken_yaml_is_told_by_what_is_written(text: str, says: str) -> None:
    assert f"found {says}" in str(yaml_problem(text))


CONFLICT = "a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> mine\n"


def test_a_conflict_of_git_is_told_where_it_begins() -> None:
    problem = yaml_problem(CONFLICT)
    assert str(problem) == (
        "a.yaml:2:1: found a conflict marker of git (<<<<<<<); expected the text as merged, and"
        " no marker"
    )
    assert problem.rule == "conflict-marker"


def test_a_heading_that_is_underlined_is_no_conflict() -> None:
    assert yaml_problem("a: |\n  Title\n  =======\nb: c: d\n").rule == "yaml-syntax"


JSON = {
    '{"a" 1}': "found '1}'; expected ':' behind the key",
    '{"a": 1 "b": 2}': "found '\"b\": 2}'; expected ',' or the closing bracket",
    '{"a": 1': "found the end; expected ',' or the closing bracket",
    '{"a": 1,}': "found '}' behind a comma; expected no comma at the end",
    "[1,]": "found ']' behind a comma; expected no comma at the end",
    "{a: 1}": "found 'a: 1}'; expected a key in double quotes",
    '{"a": yes}': "found 'yes}'; expected a value; a text stands in double quotes",
    '{"a": "b}': "found the text '\"b}', which has no end; expected its closing quote",
    '{"a": "\\d"}': "expected \\\\ for a backslash, or an escape that JSON has",
    '{"a": "\t"}': "found a line break, a tab or the like inside a text; expected its escape",
    '{"a": 1} {"b": 2}': "found '{\"b\": 2}' behind the end of the value; expected valid JSON",
    "": "found an empty file; expected valid JSON",
}


@pytest.mark.parametrize(("text", "says"), JSON.items())
def test_broken_json_is_told_by_what_is_written(text: str, says: str) -> None:
    with pytest.raises(InvalidDocumentsError) as error:
        parse_json(text, "a.json")
    assert says in str(error.value)


def test_each_marker_among_json_lines_is_told_as_what_it_is() -> None:
    text = '{"a": 1}\n<<<<<<< HEAD\n{"a": 2}\n=======\n{"a": 3}\n>>>>>>> mine\n'
    with pytest.raises(InvalidDocumentsError) as error:
        list(parse_jsonl(text, "a.jsonl"))
    assert [(problem.line, problem.rule) for problem in error.value.problems] == [
        (2, "conflict-marker"),
        (4, "conflict-marker"),
        (6, "conflict-marker"),
    ]


TEMPLATES = {
    '{{"a": 1}}': ("'{{' with ':' behind its first word", "{% raw %}…{% endraw %}"),
    "{{ title }": ("'}' that closes nothing", "a field, as in {{ title }}"),
    "{{ }}": ("'{{ }}' without a field", "the name of a field"),
    "{% if title %}a": ("a tag that is not closed", "{% endif %}"),
    "{% endif %}": ("{% endif %}, which ends nothing", "its beginning"),
    "{% whatever %}": ("the tag {% whatever %}", "one of: if, for, include, raw"),
    "{% raw %}a": ("{% raw %} that is not closed", "{% endraw %}"),
    "{# a": ("a comment that is not closed", "'#}'"),
    "{{ title ? 1 }}": ("the character '?' between braces", "a field"),
}


@pytest.mark.parametrize(("text", "says"), TEMPLATES.items())
def test_a_broken_template_is_told_by_what_is_written(text: str, says: tuple[str, str]) -> None:
    (fault,) = read(text).faults
    assert says[0] in fault.found
    assert says[1] in fault.expected


def test_what_no_table_knows_is_quoted() -> None:
    assert yaml_words("found something new") == ("something new", "valid YAML")
    assert jinja_words("Something new.")[0] == "what Jinja2 cannot read (Something new)"
    import json

    assert json_words(json.JSONDecodeError("Something new", "x", 0), "valid JSON") == (
        "Something new",
        "valid JSON",
    )
