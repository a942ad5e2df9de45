"""Graders of OpenAI's evals and rows of their runs become a task's scorer and examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.schema_support import OPENAI
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.contracts import schema_problem
from tests.unit.authoring.workshop import FIXTURES, Workshop, metadata_of, prompt_of, take


def test_answers_of_a_past_run_are_rows_and_lists_of_the_api_are_read(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    grader = {
        "type": "string_check",
        "name": "verdict",
        "input": "{{sample.output_text}}",
        "operation": "ilike",
        "reference": "{{item.verdict}}",
    }
    item = {
        "object": "eval.run.output_item",
        "datasource_item": {"film": "Metropolis", "verdict": "Yes"},
        "results": [{"name": "verdict", "passed": True, "score": 1.0}],
    }
    evals = [{"object": "eval", "testing_criteria": [grader]}, {"object": "eval", "id": "eval_2"}]
    for name, listed in (("evals.json", evals), ("items.json", [item])):
        text = json.dumps({"object": "list", "data": listed})
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("evals.json", "items.json")]
    said = take(workshop, capsys, "langfuse_text.json", *files, "--prompt", "2")
    (example,) = workshop.folder.repository.examples("imported")
    assert (example.input, example.expected) == ({"film": "Metropolis"}, {"answer": "Yes"})
    (scorer,) = metadata_of(workshop).scorers
    assert scorer.type == "text"
    assert "evals.json:1: another of several: export it alone to take it" in said
    assert any("stricter than there" in line for line in said)
    assert any("'results' of a row" in line for line in said)


def test_a_field_of_the_answer_is_compared_as_the_first_grader_says(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    graders = [
        {
            "type": "string_check",
            "name": operation,
            "input": "{{sample.output_json.intent}}",
            "operation": operation,
            "reference": "{{item.intent}}",
        }
        for operation in ("eq", "ilike")
    ]
    row = {"item": {"shop": "A", "message": "Where is it?", "intent": "delivery"}}
    for name, content in (("eval.json", {"testing_criteria": graders}), ("rows.jsonl", row)):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    files = [str(tmp_path / name) for name in ("eval.json", "rows.jsonl")]
    said = take(workshop, capsys, "openai_prompt.json", *files)
    (scorer,) = metadata_of(workshop).scorers
    assert scorer.model_dump()["fields"] == {"intent": {"compare": "exact"}}
    why = "an answer is compared once, and the first grader says with what"
    assert f"eval.json:1: another grader of the answer: {why}" in said


@pytest.mark.parametrize("format_", [None, {"type": "json_object"}])
def test_a_grader_of_one_field_says_nothing_of_the_others(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    format_: dict[str, str] | None,
) -> None:
    prompt = {
        "id": "pmpt_1",
        "model": "gpt-4.1-mini",
        "input": "Answer in JSON with the keys intent and reason: {{message}}",
        "text": {"format": format_},
    }
    grader = {
        "type": "string_check",
        "name": "intent",
        "input": "{{sample.output_json.intent}}",
        "operation": "eq",
        "reference": "{{item.intent}}",
    }
    row = {"item": {"message": "Where is it?", "intent": "delivery"}}
    contents = {"p.json": prompt, "e.json": {"testing_criteria": [grader]}, "r.jsonl": row}
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    said = take(workshop, capsys, *(str(tmp_path / name) for name in contents))
    output = prompt_of(workshop).output
    assert schema_problem({"intent": "delivery", "reason": "x"}, output) is None
    # The request leaves the model the other fields, too.
    sent = sent_schema(output, OPENAI)
    assert (sent.schema["additionalProperties"], sent.strict) == (True, False)
    assert any("the fields of the answer that nothing compares" in line for line in said)
    assert schema_problem({"reason": "x"}, output) is not None


PAGE = {"object": "list", "first_id": "o1", "last_id": "o2", "unheard_of": {"by": "anyone"}}


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("of", ["rows", "versions"])
def test_a_page_of_rows_says_whether_it_is_all(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path, of: str, more: bool
) -> None:
    """Of a list of prompts one is taken: a second file of them would be refused."""
    row = {"input": {"film": "Metropolis"}, "expected": {"answer": "yes"}}
    version = {"name": "critic", "version": 1, "prompt": "Do you like {{film}}?"}
    files = {"versions.json": [version], "rows.json": [row]}
    for name, listed in files.items():
        page = {**PAGE, "data": listed, "has_more": more} if name == f"{of}.json" else listed
        (tmp_path / name).write_text(json.dumps(page), encoding="utf-8")
    said = take(workshop, capsys, *(str(tmp_path / name) for name in files))
    why = "more follow on the next page: name its file, too (fetched with 'after=o2')"
    assert (f"{of}.json:1: a list with 'has_more': {why}" in said) is (more and of == "rows")
    assert not [line for line in said if "'has_more' of the list" in line]
    assert f"{of}.json:1: 'unheard_of' of the list: a task has no such setting" in said
    assert not [line for line in said if "last_id" in line]


@pytest.mark.parametrize(
    ("pages", "asking"),
    [
        # By name, and so by a glob, the last page need not stand last.
        ({"1": ("a", True), "10": ("a", False), "2": ("a", True)}, []),
        ({"1": ("a", True), "2": ("a", True)}, ["1", "2"]),
        ({"1": ("a", True), "2": ("b", False)}, ["1"]),
        ({"1": ("b", False), "2": ("a", True)}, ["2"]),
        ({"1": ("a", True), "2": ("b", True), "3": ("a", False)}, ["2"]),
        ({"1": (None, True), "2": (None, False)}, ["1"]),
    ],
)
def test_a_page_asks_for_the_next_unless_the_last_of_its_run_is_named(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    pages: dict[str, tuple[str | None, bool]],
    asking: list[str],
) -> None:
    files = [str(FIXTURES / "langfuse_text.json")]
    for number, (run, more) in pages.items():
        row = {"input": {"film": "Metropolis"}, "expected": {"answer": "yes"}, "run_id": run}
        page = {**PAGE, "last_id": f"o{number}", "data": [row], "has_more": more}
        files.append(str(tmp_path / f"page{number}.json"))
        Path(files[-1]).write_text(json.dumps(page), encoding="utf-8")
    said = [line for line in take(workshop, capsys, *files) if "on the next page" in line]
    why = "more follow on the next page: name its file, too, unless it is among these"
    assert said == [
        f"page{number}.json:1: a list with 'has_more': {why} (fetched with 'after=o{number}')"
        for number in asking
    ]


def test_a_page_that_is_not_the_last_may_tell_no_id(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = {"data": [{"item": {"film": "Metropolis"}}], "has_more": True}
    (tmp_path / "rows.json").write_text(json.dumps(page), encoding="utf-8")
    files = [str(FIXTURES / "langfuse_text.json"), str(tmp_path / "rows.json")]
    assert workshop.take("x", *files) == ExitCode.BLOCKED
    assert "on the next page: name its file, too\n" in capsys.readouterr().err


def test_an_empty_list_of_evals_is_refused(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "evals.json"
    path.write_text('{"object": "list", "data": []}', encoding="utf-8")
    assert workshop.take("x", str(path), "--from", "openai-eval") == ExitCode.BLOCKED
    assert "found an empty list; expected an eval, or a run of one" in capsys.readouterr().err


def test_fields_that_nobody_reads_are_listed_as_rows_have_them(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    unread = dict.fromkeys("hgfedcba", "x")
    row = {"item": {"shop": "A", "message": "Where is it?", **unread, "intent": "delivery"}}
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row), encoding="utf-8")
    said = take(workshop, capsys, "openai_prompt.json", "openai_eval.json", str(rows))
    why = "neither the prompt nor a grader reads it, so it is no part of an example"
    listed = [line for line in said if line.endswith(why)]
    assert listed == [f"rows.jsonl:1: the field {name!r}: {why}" for name in unread]


@pytest.mark.parametrize("where", ["run", "prompt"])
def test_a_format_that_is_said_twice_is_listed_once(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path, where: str
) -> None:
    def schema(field: str) -> dict[str, object]:
        inner = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
        return {"type": "json_schema", "name": field, "schema": inner}

    twice = {"text": {"format": schema("old"), "verbosity": "low"}, "response_format": schema("x")}
    template = {"type": "template", "template": [{"role": "user", "content": "Hi"}]}
    source = {"type": "responses", "input_messages": template, "sampling_params": twice}
    run = {"object": "eval.run", "id": "1", "eval_id": "2", "data_source": source}
    path = tmp_path / "a.json"
    prompt = {"id": "pmpt_1", "messages": [{"role": "user", "content": "Hi"}], **twice}
    path.write_text(json.dumps(run if where == "run" else prompt), encoding="utf-8")
    said = take(workshop, capsys, str(path))
    assert prompt_of(workshop).output["required"] == ["old"]
    (line,) = [line for line in said if "'response_format'" in line]
    assert line.endswith("'text' says the answer's format, too, and that one was taken")
    assert any("'verbosity' of 'text'" in line for line in said)
