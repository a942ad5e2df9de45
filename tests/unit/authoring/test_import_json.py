"""A prompt that is answered in JSON without a schema is asked for no other JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.gate.types import Status
from tests.unit.authoring.workshop import Workshop, metadata_of, prompt_of, take

ASKED = "Answer in JSON with the keys name and price."
FIELDS = "the fields of the JSON answer: no schema says which there are"
JSON_MODE = {"type": "json_object"}
NO_OBJECT = {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}


def prompty(format_: object) -> str:
    parameters = json.dumps({"response_format": format_})
    return f"---\nmodel:\n  parameters: {parameters}\n---\nsystem:\n{ASKED}\nuser:\n{{{{x}}}}\n"


def dotprompt(output: object) -> str:
    front = f"output: {json.dumps(output)}"
    return f'---\n{front}\n---\n{{{{role "system"}}}}{ASKED}{{{{role "user"}}}}{{{{x}}}}\n'


def exported(**more: object) -> str:
    turns = [{"role": "system", "content": ASKED}, {"role": "user", "content": "{{x}}"}]
    return json.dumps({"name": "a", "version": 1, **more}).replace('"TURNS"', json.dumps(turns))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mode.prompty", prompty(JSON_MODE)),
        ("unusable.prompty", prompty(NO_OBJECT)),
        ("mode.prompt", dotprompt({"format": "json"})),
        ("unusable.prompt", dotprompt({"schema": {"type": "array", "items": {}}})),
        ("mlflow.json", exported(template="TURNS", response_format=JSON_MODE)),
        ("langfuse.json", exported(prompt="TURNS", config={"response_format": JSON_MODE})),
        ("openai.json", exported(id="pmpt_1", messages="TURNS", text={"format": JSON_MODE})),
    ],
)
@pytest.mark.parametrize("labelled", [False, True])
def test_an_answer_in_json_is_no_plain_text(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    text: str,
    labelled: bool,
) -> None:
    row = {"input": {"x": "a"}, "expected": {"name": "a", "price": 2}}
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    files = [str(tmp_path / file) for file in (name, "rows.jsonl")]
    said = take(workshop, capsys, *(files if labelled else files[:1]))
    assert prompt_of(workshop).messages[0].content == ASKED
    assert not [line for line in said if "plain text" in line or "a sentence was added" in line]
    # Right answers that are objects say which fields there are.
    assert any(FIELDS in line for line in said) is not labelled


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.prompty", prompty({"type": "text"})), ("a.prompt", dotprompt({"format": "text"}))],
)
def test_an_answer_that_is_called_a_text_is_plain_text(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    text: str,
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    said = take(workshop, capsys, str(tmp_path / name))
    assert '{"answer": "…"}' in prompt_of(workshop).messages[0].content
    assert any("the answer as plain text" in line for line in said)


NULLABLE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "age", "born", "rank", "kind"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "born": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Born"},
        "rank": {"anyOf": [{"$ref": "#/$defs/Rank"}, {"type": "null"}]},
        "kind": {"$ref": "#/$defs/Rank"},
    },
    "$defs": {"Rank": {"type": "string", "enum": ["first", "second"]}},
}


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("openai.json", exported(id="pmpt_1", messages="TURNS", response_format=NULLABLE)),
        ("langfuse.json", exported(prompt="TURNS", config={"response_format": NULLABLE})),
        ("a.prompt", dotprompt({"schema": NULLABLE})),
    ],
)
def test_a_field_that_may_be_null_is_compared_as_the_others_are(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    text: str,
    labelled: bool,
) -> None:
    row = {"input": {"x": "a"}, "expected": {"name": "Ada", "age": None, "born": 1815}}
    row["expected"] |= {"rank": None, "kind": "first"}
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    files = [str(tmp_path / file) for file in (name, "rows.jsonl")]
    take(workshop, capsys, *(files if labelled else files[:1]))
    (scorer,) = metadata_of(workshop).scorers
    assert (scorer.type, [*scorer.model_dump()["fields"]]) == ("json_fields", [*row["expected"]])
    assert workshop.evaluated("imported").verdict.status is Status.PASS


def test_a_model_inside_an_answer_is_made_up_and_ends_where_it_may_be_null(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As pydantic writes fields that are models: a plain one, and one that holds itself."""
    part = {
        "type": "object",
        "required": ["size", "inner"],
        "properties": {
            "size": {"$ref": "#/$defs/Size"},
            "inner": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]},
        },
    }
    schema = {
        "type": "object",
        "required": ["part", "size"],
        "properties": {"part": {"$ref": "#/$defs/Part"}, "size": {"$ref": "#/$defs/Size"}},
        "$defs": {"Part": part, "Size": {"enum": ["S", "M"], "type": "string"}},
    }
    text = exported(prompt="TURNS", config={"response_format": schema})
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    take(workshop, capsys, str(tmp_path / "a.json"))
    (example,) = workshop.folder.repository.examples("imported")
    assert example.expected == {"part": {"size": "S", "inner": None}, "size": "S"}
    (scorer,) = metadata_of(workshop).scorers
    assert scorer.type == "exact"


@pytest.mark.parametrize("labelled", [False, True])
def test_references_without_an_end_are_not_followed_for_ever(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    labelled: bool,
) -> None:
    fields = {"name": {"type": "string"}, "next": {"$ref": "#/$defs/Next"}}
    endless = {"anyOf": [{"$ref": "#/$defs/Next"}, {"type": "null"}]}
    schema = {"type": "object", "properties": fields, "$defs": {"Next": endless}}
    row = {"input": {"x": "a"}, "expected": {"name": "Ada", "next": None}}
    text = exported(prompt="TURNS", config={"response_format": schema})
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    files = [str(tmp_path / file) for file in ("a.json", "rows.jsonl")]
    take(workshop, capsys, *(files if labelled else files[:1]))
    (scorer,) = metadata_of(workshop).scorers
    assert scorer.type == "exact"
