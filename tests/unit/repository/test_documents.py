"""YAML and JSONL are read strictly, and every problem knows its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import pytest
from pydantic import Field

from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.documents import (
    Document,
    InvalidDocumentsError,
    Problem,
    read_text,
    to_model,
)
from prompt_hub.repository.json import parse_jsonl, parse_model
from prompt_hub.repository.schema import JsonObject, ModelChoice, Prompt, Strict
from prompt_hub.repository.yaml import LARGEST_KEPT, parse_yaml
from tests.unit.building import PART_CLASS


def yaml_problem(text: str) -> Problem:
    with pytest.raises(InvalidDocumentsError) as error:
        parse_yaml(text, "a.yaml")
    return error.value.problems[0]


def test_every_value_knows_its_line_and_column() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: [2, 3]\n", "a.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": [2, 3]}]}
    assert document.positions["b", 1, "c", 1] == (4, 12)
    problem = document.problem(("b", 1, "c", 1), "3", "4")
    assert str(problem) == "a.yaml:4:12: b.1.c.1: found 3; expected 4"


def test_a_missing_value_is_reported_at_what_is_around_it() -> None:
    problem = parse_yaml("a:\n  b: 1\n", "a.yaml").problem(("a", "c", "d"), "nothing", "it")
    assert (problem.line, problem.column, problem.field) == (2, 3, "a.c.d")


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key twice"),
        ("a: &x [1]\nb: *x\n", 2, "a YAML alias"),
        ("a: 1\nb: .nan\n", 2, ".nan"),
        ("a: 1.0e+999\n", 1, "1.0e+999"),
        ('a: "\\ud800"\n', 1, "invalid Unicode character"),
        ("a: 1\n\tb: 2\n", 2, "a tab character"),
        (
            "a: !!python/object:os.system {}\n",
            1,
            "the YAML tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("[" * 60 + "]" * 60, 1, "nested more than 50 deep"),
        ("a: \x00\n", 1, "ontrol characters are not allowed"),
    ],
)
def test_what_yaml_allows_and_a_prompt_does_not(text: str, line: int, found: str) -> None:
    problem = yaml_problem(text)
    assert problem.line == line
    assert found in problem.found


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("{a: &x 1, b: *x}", ["alias"]),
        ("[&x 1,*x]", ["alias"]),
        ('{"a": &x 1, "b":*x}', ["alias"]),
        ("&x a: 1\n*x : 2\n", ["alias"]),
        ("? &x a\n: - *x\n", ["alias"]),
        ("- !own 1\n- !!str 2\n- ! 3\n", ["tag", "tag", "tag"]),
        ('["a",!!set {b}]', ["tag"]),
        ("!own\na: 1\n", ["tag"]),
        ("\ufeff!own a\n", ["tag"]),
        ("%TAG ! tag:own,1:\n---\n!a {b: 1}\n", ["tag"]),
        ("a: [" * 50 + "]" * 50, ["too-deep"]),
    ],
)
def test_aliases_tags_and_depth_are_refused_wherever_they_stand(
    text: str, rules: list[str]
) -> None:
    with pytest.raises(InvalidDocumentsError) as error:
        parse_yaml(text, "a.yaml")
    assert [problem.rule for problem in error.value.problems] == rules


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: Answer now! 2*3 **is** {% if x != y %}\n", "Answer now! 2*3 **is** {% if x != y %}"),
        ("a: |\n  * one\n  ! two\n", "* one\n! two\n"),
        ("a: wow!\n", "wow!"),
        ("a: '*x'  # !no\n", "*x"),
    ],
)
def test_what_looks_like_an_alias_or_a_tag_inside_a_text_is_the_text(text: str, data: str) -> None:
    assert parse_yaml(text, "a.yaml").data == {"a": data}


def test_a_text_is_parsed_once_and_known_by_its_file() -> None:
    text = "a: 1\nb: {c: 2}\n"
    assert parse_yaml(text, "a.yaml") is parse_yaml(text, "a.yaml")
    assert parse_yaml(text, "b.yaml").problem(("b", "c"), "2", "3").file == "b.yaml"
    assert parse_yaml(text.replace("2", "3"), "a.yaml").data == {"a": 1, "b": {"c": 3}}


def test_what_is_wrong_with_a_text_is_said_each_time() -> None:
    for _ in range(2):
        with pytest.raises(InvalidDocumentsError, match="found the key twice"):
            parse_yaml("a: 1\na: 2\n", "a.yaml")


def test_a_large_document_is_not_kept() -> None:
    text = f"a: {'x' * LARGEST_KEPT}\n"
    first, again = parse_yaml(text, "a.yaml"), parse_yaml(text, "a.yaml")
    assert first == again
    assert first is not again


def test_a_model_shares_nothing_with_its_document_that_can_be_changed() -> None:
    prompt, other = (to_model(parse_yaml(PART_CLASS, "a.yaml"), Prompt) for _ in range(2))
    cast(list[str], prompt.input["required"]).append("nothing")
    cast(JsonObject, prompt.output["properties"])["part_class"] = None
    assert other == to_model(parse_yaml(PART_CLASS, "a.yaml"), Prompt) != prompt


@pytest.mark.parametrize("inside", ["", "1"])
def test_fifty_levels_are_read(inside: str) -> None:
    depth = 0
    value = parse_yaml("[" * 50 + inside + "]" * 50, "a.yaml").data
    while isinstance(value, list):
        value, depth = (value[0] if value else None), depth + 1
    assert depth == 50


def test_all_duplicate_keys_are_found_at_once() -> None:
    with pytest.raises(InvalidDocumentsError) as error:
        parse_yaml("a: {x: 1, x: 2}\nb: 1\nb: 2\n", "a.yaml")
    assert [(problem.line, problem.field) for problem in error.value.problems] == [
        (1, "a.x"),
        (3, "b"),
    ]


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', "NaN", "[-Infinity]", "1e999", '"\\ud83d"', "[" * 100_000, "{", ""],
)
def test_strict_json_refuses_what_no_file_should_say(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        strict_json(text)


def test_jsonl_yields_the_good_lines_and_then_says_all_bad_ones() -> None:
    lines = parse_jsonl('{"a": 1}\n\nx\n"\u2028"\n{"b": NaN}\n', "a.jsonl")
    read: list[tuple[int, Document]] = []
    with pytest.raises(InvalidDocumentsError) as error:
        read.extend(lines)
    assert [(line, document.data) for line, document in read] == [(1, {"a": 1}), (4, "\u2028")]
    assert [problem.line for problem in error.value.problems] == [3, 5]


def test_a_model_reports_every_problem_with_its_place() -> None:
    document = parse_yaml("alias: UPPER\nparameters: {heat: 1}\ncolour: red\n", "a.yaml")
    with pytest.raises(InvalidDocumentsError) as error:
        to_model(document, ModelChoice)
    assert {(problem.line, problem.field.split(".")[0]) for problem in error.value.problems} == {
        (1, "alias"),
        (2, "parameters"),
        (3, "colour"),
    }
    assert "a.yaml:1:8: alias: found 'UPPER'; expected small letters, digits and" in str(
        error.value
    )


class Kept(Strict):
    """What some command writes."""

    schema_: Annotated[Literal["prompt-hub/kept@1"], Field(alias="schema")]
    count: int


@pytest.mark.parametrize(
    ("text", "may_be_newer"),
    [
        ('{"schema": "prompt-hub/kept@2", "count": 1}', True),
        ('{"schema": "prompt-hub/kept@1", "count": 1, "hue": "red"}', True),
        ('{"schema": "prompt-hub/kept@1", "count": "many"}', False),
        ('{"count": 1}', False),
        ('{"schema": "prompt-hub/kept@1", "cou', False),
    ],
)
def test_what_a_newer_release_may_have_written_is_not_called_broken_first(
    text: str, may_be_newer: bool
) -> None:
    with pytest.raises(InvalidDocumentsError) as error:
        parse_model(text, "kept.json", Kept, hint="Restore it.")
    assert len(error.value.problems) == 1
    newer = "If a newer release has written it, bring this one up to date; if none has: "
    assert error.value.hint == f"{newer if may_be_newer else ''}Restore it."


def test_files_are_utf8_and_of_sane_size(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\nb: \xb5\n")
    with pytest.raises(
        InvalidDocumentsError, match=r"a\.yaml:2:4: found byte 0xb5; expected UTF-8"
    ):
        read_text(path, "a.yaml")
    path.write_bytes(b"x" * 1_000_001)
    with pytest.raises(InvalidDocumentsError, match="at most 1000000 bytes"):
        read_text(path, "a.yaml")
    for grows in ("a.jsonl", "prompt_registry.yaml"):
        path = path.rename(tmp_path / grows)
        assert len(read_text(path, grows)) == 1_000_001
    with pytest.raises(InvalidDocumentsError, match="no such file"):
        read_text(tmp_path / "b.yaml", "b.yaml")
    with pytest.raises(InvalidDocumentsError, match="found something that is no file"):
        read_text(tmp_path, "c.yaml")


def test_a_line_about_a_file_is_one_line_and_no_command_to_a_terminal() -> None:
    problem = Problem("a.jsonl", 1, 1, "\x1b[2Jµ\nkey", "found\u2028", "Ω")
    assert str(problem) == r"a.jsonl:1:1: \x1b[2Jµ\nkey: found found\u2028; expected Ω"
