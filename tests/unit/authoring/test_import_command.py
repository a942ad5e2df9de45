"""What other tools exported becomes a task; what does not fit is listed with file and line."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import get_args

import pytest

from prompt_hub.authoring.importing.files import Format
from prompt_hub.cli.import_task import FORMATS
from prompt_hub.core.errors import ExitCode
from prompt_hub.gate.types import Status
from prompt_hub.promotion import transitions
from prompt_hub.promotion.states import NotAllowedError
from tests.unit.authoring.workshop import FIXTURES, Workshop, metadata_of, prompt_of, take
from tests.unit.building import MADE_AT

PROMPTS = (
    "openai_prompt.json",
    "langfuse_chat.json",
    "langfuse_text.json",
    "mlflow_text.json",
    "mlflow_tags.json",
    "version1.prompty",
    "version2.prompty",
    "greet.prompt",
)


def texts_of(workshop: Workshop) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in prompt_of(workshop).messages]


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_without_examples_validates_evaluates_and_is_released_by_nobody(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    said = take(workshop, capsys, name)
    assert any("no examples: one made-up example stands for yours" in line for line in said)
    assert workshop.folder.rules_broken() == ["placeholder"]
    record = workshop.evaluated("imported")
    assert record.verdict.status is Status.PASS
    with pytest.raises(NotAllowedError, match="replace-me-1"):
        transitions.promote(workshop.folder.repository, record, "", MADE_AT)


def test_a_byte_order_mark_is_no_part_of_a_file(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = ("openai_prompt.json", "openai_eval.json", "openai_rows.jsonl")
    for name in names:
        (tmp_path / name).write_bytes(codecs.BOM_UTF8 + (FIXTURES / name).read_bytes())
    take(workshop, capsys, *(str(tmp_path / name) for name in names))
    assert prompt_of(workshop).input["required"] == ["shop", "message"]
    examples = workshop.folder.repository.examples("imported")
    assert [example.id for example in examples] == ["row-1", "row-2", "row-5"]


def test_elements_of_a_looped_list_that_are_no_texts_are_listed(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    template = "{% for item in items %}{{ item }} {% endfor %}"
    prompt = tmp_path / "prompt.json"
    prompt.write_text(json.dumps({"name": "a", "version": 1, "template": template}))
    rows = tmp_path / "rows.jsonl"
    lists = (["a", "b"], ["a", True])
    made = ({"input": {"items": each}, "expected": {"answer": "x"}} for each in lists)
    rows.write_text("".join(json.dumps(row) + "\n" for row in made))
    said = take(workshop, capsys, str(prompt), str(rows))
    assert prompt_of(workshop).input["properties"] == {"items": {"type": "array", "maxItems": 100}}
    noted = [line for line in said if "is written as JSON has it" in line]
    assert [line.partition(": ")[0] for line in noted] == ["rows.jsonl:2"]


def test_a_stored_prompt_with_its_hosted_eval_and_rows(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    said = take(workshop, capsys, "openai_prompt.json", "openai_eval.json", "openai_rows.jsonl")
    prompt = prompt_of(workshop)
    assert prompt.description == "Imported: OpenAI prompt pmpt_68c0ffee, version 3"
    assert prompt.model.parameters == {"temperature": 0, "max_tokens": 32}
    assert prompt.input["required"] == ["shop", "message"]
    assert prompt.output["properties"] == {
        "intent": {"type": "string", "enum": ["refund", "delivery", "other"]}
    }
    assert texts_of(workshop)[1] == (
        "user",
        "Shop: {{ shop }}\nMessage: {{ message }}\nA literal {{ '{' }}% is text.\n\n",
    )
    examples = workshop.folder.repository.examples("imported")
    assert [(example.id, example.expected) for example in examples] == [
        ("row-1", {"intent": "refund"}),
        ("row-2", {"intent": "delivery"}),
        ("row-5", {"intent": "other"}),
    ]
    (scorer,) = metadata_of(workshop).scorers
    assert scorer.model_dump() == {
        "type": "json_fields",
        "weight": 1.0,
        "fields": {"intent": {"compare": "exact"}},
    }
    for place, what in (
        ("openai_prompt.json:14", "the variable 'season': the prompt does not read it"),
        ("openai_prompt.json:31", "'tools' of the prompt"),
        ("openai_prompt.json:32", "'reasoning' of the prompt"),
        ("openai_prompt.json:29", "'verbosity'"),
        ("openai_eval.json:19", "scorers say what is right, not what is wrong"),
        ("openai_eval.json:26", "the grader 'politeness': a model grades it: write a judge"),
        ("openai_eval.json:34", "the grader 'tone': a model grades it: write a judge"),
        ("openai_eval.json:42", "a scorer of the type python"),
        ("openai_rows.jsonl:1", "the field 'agent' (and 1 more like it)"),
        ("openai_rows.jsonl:2", "'sample' of a row"),
        ("openai_rows.jsonl:3", '"smalltalk" is not one of'),
        ("openai_rows.jsonl:4", "it has no 'intent'"),
    ):
        assert any(line.startswith(f"{place}: ") and what in line for line in said), (place, said)
    assert workshop.evaluated("imported").verdict.status is Status.PASS


def test_a_run_of_an_eval_holds_a_prompt_and_rows(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    said = take(workshop, capsys, "openai_run.json", "openai_capitals.json")
    assert texts_of(workshop) == [
        ("system", 'Name the capital.\nAnswer with one JSON object: {"answer": "…"}.\n'),
        ("user", "Of {{ country }}?"),
    ]
    assert prompt_of(workshop).model.parameters == {
        "temperature": 0.5,
        "top_p": 1,
        "seed": 42,
        "max_tokens": 20,
    }
    (scorer,) = metadata_of(workshop).scorers
    assert (scorer.type, scorer.model_dump()["field"]) == ("text", "answer")
    assert any("'fuzzy_match' of at least 0.9 is not measured" in line for line in said)
    assert any(line.startswith("openai_run.json:19: 'verbosity' of 'text': ") for line in said)
    assert workshop.evaluated("imported").verdict.status is Status.PASS


def test_rows_of_ones_own_label_a_prompt(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    said = take(workshop, capsys, "langfuse_text.json", "rows.jsonl", "--prompt", "2")
    assert texts_of(workshop)[-1] == ("user", "As a critic, do you like {{ film }}?\n\n")
    assert any("the version 1 of 2: a task has one candidate" in line for line in said)
    examples = workshop.folder.repository.examples("imported")
    assert [(example.id, example.expected) for example in examples] == [
        ("yes-1", {"answer": "yes"}),
        ("no-1", {"answer": "no"}),
    ]
    assert workshop.evaluated("imported").verdict.status is Status.PASS


def test_a_right_answer_with_a_dot_in_a_name_is_compared_as_a_whole(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answers = [{"v.out": 3.3, "film": "Metropolis"}, {"v.out": 5, "film": "The Room"}]
    rows = [{"input": {"film": answer["film"]}, "expected": answer} for answer in answers]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    take(workshop, capsys, "langfuse_text.json", str(file), "--prompt", "2")
    assert [scorer.type for scorer in metadata_of(workshop).scorers] == ["exact"]


def test_a_chat_of_langfuse(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    said = take(workshop, capsys, "langfuse_chat.json")
    assert texts_of(workshop) == [
        ("system", 'You sort parts. Braces such as {"a": {"b": 1}} are text.'),
        ("user", "Part: {{ title }} by {{ maker }}"),
    ]
    assert [scorer.type for scorer in metadata_of(workshop).scorers] == ["json_fields"]
    for what in (
        "langfuse_chat.json:9: the placeholder 'chat_history'",
        "langfuse_chat.json:16: 'supported_languages'",
        "langfuse_chat.json:29: 'labels' of the prompt",
        "langfuse_chat.json:30: 'tags' of the prompt",
        "langfuse_chat.json:31: 'commitMessage' of the prompt",
    ):
        assert any(line.startswith(what) for line in said), (what, said)


def test_a_parameter_that_cannot_be_taken_is_listed_with_why(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = json.loads((FIXTURES / "langfuse_chat.json").read_text("utf-8"))
    prompt["config"] |= {"temperature": "0.2", "max_output_tokens": 50}
    path = workshop.folder.root / "exported.json"
    path.write_text(json.dumps(prompt, indent=1), encoding="utf-8")
    said = take(workshop, capsys, str(path))
    (temperature,) = [line for line in said if "'temperature'" in line]
    assert temperature.endswith("a parameter of this name has to be a finite number")
    (tokens,) = [line for line in said if "'max_output_tokens'" in line]
    assert tokens.endswith("max_tokens is said by another name, too, and that one was taken")


def test_a_version_of_mlflow(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    said = take(workshop, capsys, "mlflow_text.json")
    assert texts_of(workshop) == [
        ("user", "Summarise in {{ count }} sentences, 100% {plain}:\n{{ text }}")
    ]
    assert prompt_of(workshop).output["required"] == ["summary", "words"]
    for what in ("'top_k'", "'stop_sequences'", "'author'", "'aliases'", "'commit_message'"):
        assert any(what in line for line in said), (what, said)


def test_a_model_version_that_holds_a_prompt_of_mlflow_in_tags(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    said = take(workshop, capsys, "mlflow_tags.json")
    assert texts_of(workshop)[1] == (
        "user",
        "Greet {% if title %}{{ title }} {% endif %}{{ name | upper }}.",
    )
    assert any("the provider of 'claude-sonnet-4'" in line for line in said)
    assert any("'team' of the prompt's tags" in line for line in said)


def test_prompty_of_both_versions(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    said = take(workshop, capsys, "version1.prompty")
    assert [role for role, _ in texts_of(workshop)] == ["system", "assistant", "user"]
    (example,) = workshop.folder.repository.examples("imported")
    assert example.input == {"customer": "Jane", "loyal": True, "question": "Is it waterproof?"}
    for what in (
        "version1.prompty:24: the input 'colour': the template does not read it",
        "version1.prompty:5: 'authors'",
        "version1.prompty:12: 'api_key' of the model's configuration",
        "version1.prompty:16: 'presence_penalty'",
    ):
        assert any(line.startswith(what) for line in said), (what, said)
    files = [str(FIXTURES / "version2.prompty"), "--model", "catalogue-pinned"]
    assert workshop.take("second", *files) == ExitCode.OK
    second = workshop.folder.repository.draft("second")
    assert second.messages[0].content == (
        "Find the event.\n{% for item in hints %}- {{ item }}\n{% endfor %}"
    )
    assert second.output["properties"] == {
        "name": {"type": "string", "description": "what it is called"},
        "guests": {"type": "array", "items": {"type": "string"}},
        "paid": {"type": "boolean"},
    }
    out = capsys.readouterr().out
    assert "version2.prompty:50: the input 'history': a task answers one record" in out
    assert "version2.prompty:41: 'tools' of the front matter" in out


def test_dotprompt(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    said = take(workshop, capsys, "greet.prompt")
    assert [role for role, _ in texts_of(workshop)] == ["system", "user"]
    guests = prompt_of(workshop).input["properties"]["guests"]  # type: ignore[index, call-overload]
    assert guests["maxItems"] == 100  # type: ignore[index, call-overload]
    assert prompt_of(workshop).output["required"] == ["greeting", "lines"]
    for what in (
        "greet.prompt:2: the provider of 'gemini-2.5-flash'",
        "greet.prompt:6: 'topK' of the config",
        "greet.prompt:22: 'tools' of the front matter",
        "greet.prompt:31: {{history}}",
    ):
        assert any(line.startswith(what) for line in said), (what, said)


@pytest.mark.parametrize(
    ("name", "front"),
    [
        ("a.prompty", "sample:\n  day: 2026-01-02\n"),
        ("a.prompty", "inputs:\n  day: {type: string, default: 2026-01-02}\n"),
        ("a.prompty", "inputs:\n  day: {type: string, enumValues: [2026-01-02]}\n"),
        ("a.prompt", "input:\n  default:\n    day: 2026-01-02\n"),
        ("a.prompt", "input:\n  schema:\n    day(enum): [2026-01-02]\n"),
        ("a.prompt", "input:\n  schema:\n    day: string\n  default:\n    day: 2026-01-02\n"),
    ],
)
def test_a_value_that_cannot_be_kept_is_listed_and_another_made_up(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, front: str
) -> None:
    role = "user:\n" if name == "a.prompty" else ""
    path = tmp_path / name
    path.write_text(f"---\n{front}---\n{role}What is on {{{{day}}}}?\n", encoding="utf-8")
    said = take(workshop, capsys, str(path))
    assert prompt_of(workshop).input["properties"] == {"day": {"type": "string"}}
    (example,) = workshop.folder.repository.examples("imported")
    assert example.input == {"day": "REPLACE ME"}
    why = "nothing is kept of a date without quotes; put it in quotes"
    assert any(line.endswith(f"a value of the front matter: {why}") for line in said)


def test_every_key_of_an_export_is_carried_over_or_listed(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("openai_prompt", "langfuse_chat", "mlflow_text"):
        export = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
        export["unheard_of"] = {"by": "anyone"}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(export), encoding="utf-8")
        task = name.replace("_", "-")
        assert workshop.take(task, str(path), "--model", "catalogue-pinned") == ExitCode.OK
        assert "'unheard_of' of the prompt: a task has no such setting" in capsys.readouterr().out


def test_a_reference_to_a_stored_prompt_says_nothing_of_its_text(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "reference.json"
    path.write_text('{"id": "pmpt_1", "version": "2", "variables": {}}', encoding="utf-8")
    before = workshop.snapshot()
    assert workshop.take("x", str(path)) == ExitCode.BLOCKED
    error = capsys.readouterr().err
    assert "reference.json is a reference to a stored prompt" in error
    assert "Copy the prompt's messages from the dashboard into it." in error
    assert workshop.snapshot() == before


def test_files_that_are_no_export_are_refused_with_what_they_may_be(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = workshop.snapshot()
    for name, text, found in (
        ("other.json", '{"colour": "red"}', "JSON of no known export (colour)"),
        ("empty.json", "", "found an empty file; expected valid JSON"),
        ("broken.json", '{\n"a": }', "broken.json:2:1: found '}'; expected a value"),
        ("broken.prompty", "---\na: [\n---\nhi\n", "3:1: found nothing where a value belongs"),
        ("twice.json", '{"a": 1, "a": 2}', "twice.json:1:1: found"),
        ("notes.txt", "hello", "a .txt file"),
        ("open.prompt", "---\nmodel: x\n", "a front matter without an end"),
        ("list.prompty", "---\n- a\n---\nuser:\nhi\n", "a front matter that is no mapping"),
        ("tag.prompty", "---\na: !!python/name:os.system x\n---\nuser:\nhi\n", "tag.prompty:"),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert workshop.take("x", str(path)) == ExitCode.BLOCKED, name
        error = capsys.readouterr().err
        assert found in error, error
        assert "Traceback" not in error
    assert workshop.take("x", str(tmp_path / "nothing.json")) == ExitCode.USAGE
    assert workshop.snapshot() == before


def test_an_eval_alone_and_two_prompts_are_no_task(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workshop.take("x", str(FIXTURES / "openai_eval.json")) == ExitCode.BLOCKED
    assert "there is no prompt in openai_eval.json" in capsys.readouterr().err
    two = (str(FIXTURES / "openai_prompt.json"), str(FIXTURES / "langfuse_chat.json"))
    assert workshop.take("x", *two) == ExitCode.USAGE
    assert "two prompts: openai_prompt.json and langfuse_chat.json" in capsys.readouterr().err
    pair = (str(FIXTURES / "langfuse_text.json"), "--prompt", "3")
    assert workshop.take("x", *pair) == ExitCode.USAGE
    assert "It has 2 prompts." in capsys.readouterr().err


def test_rows_none_of_which_is_labelled_make_no_task(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    files = (str(FIXTURES / "openai_prompt.json"), str(FIXTURES / "openai_rows.jsonl"))
    assert workshop.take("x", *files) == ExitCode.BLOCKED
    error = capsys.readouterr().err
    assert "nothing was imported: no row says what the right answer is" in error
    assert "label it as an example yourself" in error


def test_a_prompty_file_reads_no_file_outside_its_folder(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "secret.json").write_text('{"type": "object"}', encoding="utf-8")
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    (folder / "inside.json").write_text(json.dumps(schema), encoding="utf-8")
    for name, ended in (
        ("../secret.json", ExitCode.BLOCKED),
        ("/etc/hostname", ExitCode.BLOCKED),
        ("link.json", ExitCode.BLOCKED),
        ("inside.json", ExitCode.OK),
    ):
        text = (
            f"---\nmodel:\n  parameters:\n    response_format: ${{file:{name}}}\n---\nuser:\nHi\n"
        )
        (folder / "x.prompty").write_text(text, encoding="utf-8")
        assert workshop.take("x", str(folder / "x.prompty")) == ended, name
        error = capsys.readouterr().err
        assert ("outside its folder" in error) is (ended is ExitCode.BLOCKED)
    assert workshop.folder.repository.draft("x").output["required"] == ["a"]


def test_a_prompty_file_names_a_circle_of_links_in_vain(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "circle.json").symlink_to("circle.json")
    text = "---\nmodel:\n  parameters:\n    response_format: ${file:circle.json}\n---\nuser:\nHi\n"
    (tmp_path / "x.prompty").write_text(text, encoding="utf-8")
    assert workshop.take("x", str(tmp_path / "x.prompty")) == ExitCode.BLOCKED
    assert "Too many levels of symbolic links" in capsys.readouterr().err


def test_the_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    from prompt_hub.cli.main import main

    assert get_args(Format) == FORMATS
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in FORMATS)
    assert "docs/coming-from-elsewhere.md" in shown


def test_a_key_of_an_export_is_no_command_to_the_terminal(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "prompt.json"
    prompt = {"name": "n", "version": 1, "type": "text", "prompt": "Sort {{x}}", "config": {}}
    path.write_text(json.dumps({**prompt, "\x1b[2Jgone\nNext:": 1}), encoding="utf-8")
    assert workshop.take("fresh", str(path)) == ExitCode.OK
    output = capsys.readouterr().out
    assert r"'\x1b[2Jgone\nNext:' of the prompt" in output
    assert "\x1b" not in output


def test_an_alias_that_is_configured_keeps_its_meaning(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"catalogue-pinned": {"provider": "openai", "model": "small"}}
    context = {"context": {"prompt-hub": {"models": models}}}
    workshop.folder.write("cdk.json", json.dumps(context))
    file = str(FIXTURES / "openai_prompt.json")
    assert workshop.take("imported", file, "--model", "catalogue-pinned") == ExitCode.OK
    said = capsys.readouterr().out
    assert "the model alias catalogue-pinned is configured already: nothing is to be done" in said
    assert "configure the model alias" not in said
