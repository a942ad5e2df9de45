"""`validate_prompt.py`: what people and machines are told, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.cli.validate import annotation
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.documents import Problem
from prompt_hub.validation.check import TASK_RULES
from prompt_hub.validation.rules.base import task_rule
from prompt_hub.validation.tree import TaskFiles
from tests.unit.building import RepositoryFolder

ROOT = Path(__file__).resolve().parents[3]
CANDIDATE = "prompts/00-templates/part-class.yaml"


@pytest.fixture
def folder(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    return healthy


def test_a_healthy_repository_is_said_in_one_line(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate"]) == ExitCode.OK
    assert capsys.readouterr().out == "2 tasks, 17 files: all valid\n"


@pytest.mark.parametrize(
    "file",
    [
        "01-examples/.old.jsonl",
        "02-production/.old.yaml",
        "03-metadata/.old.yaml",
        "99-archive/.old/1.0.0.yaml",
        "99-archive/old/.1.0.0.yaml",
        "99-archive/part-class/.1.0.0.yaml",
    ],
)
def test_a_hidden_file_makes_no_task(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    folder.write(f"prompts/{file}", "nothing: that is looked at\n")
    assert main(["validate"]) == ExitCode.OK
    assert capsys.readouterr().out == "2 tasks, 17 files: all valid\n"
    folder.write(f"prompts/{file}", "key: sk-proj-" + "a1B2" * 12)
    assert main(["validate"]) == ExitCode.BLOCKED
    assert "[secret]" in capsys.readouterr().out


def test_problems_name_file_line_column_field_found_and_expected(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}")
    assert main(["validate"]) == ExitCode.BLOCKED
    captured = capsys.readouterr()
    assert captured.out == (
        f"{CANDIDATE}:31:17: messages.1.content: found the variable 'titel'"
        " (did you mean 'title'?); expected a property of the input: part_number, title,"
        " manufacturer [undeclared-variable]\n"
        "undeclared-variable: Correct the name, or declare the property in `input`.\n"
        "2 tasks, 17 files: 1 problem in 1 file\n"
    )
    assert captured.err == ""


def test_machines_get_a_list(folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == []
    folder.edit(CANDIDATE, "version: 1.2.0", "version: 1.1.0")
    assert main(["validate", "--json"]) == ExitCode.BLOCKED
    found = json.loads(capsys.readouterr().out)
    assert {problem["rule"] for problem in found} == {"candidate-version", "version-moves"}
    assert found[0] == {
        "rule": "version-moves",
        "file": CANDIDATE,
        "line": 3,
        "column": 10,
        "field": "version",
        "found": "1.1.0, which is released with other content",
        "expected": "a higher version: bump the version here and in the metadata",
        "suggestion": "",
        "severity": "error",
    }


def test_a_pull_request_gets_annotations(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}")
    assert main(["validate", "--github"]) == ExitCode.BLOCKED
    assert capsys.readouterr().out == (
        f"::error file={CANDIDATE},line=31,col=17,title=undeclared-variable::"
        "messages.1.content: found the variable 'titel' (did you mean 'title'?); expected a"
        " property of the input: part_number, title, manufacturer\n"
        "2 tasks, 17 files: 1 problem in 1 file\n"
    )


@task_rule("short-owner", "warning")
def _owners_have_long_names(files: TaskFiles) -> Iterator[Problem]:
    """A rule that the healthy repository breaks.

    Do nothing.
    """
    if files.metadata:
        yield files.metadata.problem(("owner",), "a short name", "a long one")


def test_a_warning_is_told_and_blocks_nothing(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = (*TASK_RULES, _owners_have_long_names)
    monkeypatch.setattr("prompt_hub.validation.check.TASK_RULES", rules)
    metadata = "prompts/03-metadata/part-class.yaml"
    assert main(["validate", "part-class"]) == ExitCode.OK
    assert capsys.readouterr().out == (
        f"{metadata}:4:8: owner: found a short name; expected a long one [warning: short-owner]\n"
        "short-owner: Do nothing.\n"
        "task part-class, 17 files: all valid, 1 warning\n"
    )
    assert main(["validate", "part-class", "--github"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"::warning file={metadata},line=4,col=8,")
    assert main(["validate", "part-class", "--json"]) == ExitCode.OK
    assert [found["severity"] for found in json.loads(capsys.readouterr().out)] == ["warning"]
    folder.edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}")
    assert main(["validate", "part-class"]) == ExitCode.BLOCKED
    assert capsys.readouterr().out.endswith("1 problem in 1 file, 1 warning\n")


def test_no_text_can_break_out_of_an_annotation() -> None:
    problem = Problem("a,b:c.yaml", 1, 2, "", "100%\n::warning::x\r", "y", "rule")
    assert annotation(problem) == (
        "::error file=a%2Cb%3Ac.yaml,line=1,col=2,title=rule::found 100%25\\n::warning::x\\r;"
        " expected y"
    )


def test_rules_are_printed_without_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))
    assert main(["validate", "--rules"]) == ExitCode.OK
    assert "| `duplicate-key` | A key stands in a mapping once." in capsys.readouterr().out


def test_schemas_are_written_where_files_name_them(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--write-schemas"]) == ExitCode.OK
    assert "prompts/.schemas/prompt.schema.json" in capsys.readouterr().out.splitlines()
    schema = json.loads(folder.read("prompts/.schemas/prompt.schema.json"))
    assert schema["properties"]["task"]["description"] == "The task that this is a prompt of."
    assert main(["validate"]) == ExitCode.OK


def test_one_task_alone(folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.edit(CANDIDATE, "version: 1.2.0", "version: 1.1.0")
    assert main(["validate", "brand"]) == ExitCode.OK
    assert main(["validate", "part-class"]) == ExitCode.BLOCKED
    capsys.readouterr()
    assert main(["validate", "colour"]) == ExitCode.USAGE
    assert "known: brand, part-class" in capsys.readouterr().err
    assert main(["validate", "part-clas"]) == ExitCode.USAGE
    assert "Did you mean 'part-class'?" in capsys.readouterr().err


def test_stamping_makes_it_valid_again(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit(CANDIDATE, "title: {type: string}", "title: {type: string, maxLength: 200}")
    assert main(["validate"]) == ExitCode.BLOCKED
    assert "prompt-hub validate --stamp part-class" in capsys.readouterr().out
    assert main(["validate", "--stamp"]) == ExitCode.USAGE
    assert "--stamp needs a task" in capsys.readouterr().err
    assert main(["validate", "--stamp", "part-class"]) == ExitCode.OK
    assert capsys.readouterr().out == "prompts/03-metadata/part-class.yaml: stamped\n"
    assert main(["validate"]) == ExitCode.OK


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = str(folder.path("prompts/99-archive"))
    scan = os.scandir

    def scan_as_another_user(path: str) -> Iterator[os.DirEntry[str]]:
        if path == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_as_another_user)
    assert main(["validate"]) == ExitCode.USAGE
    denied = f"prompt-hub validate: {closed} cannot be read or written: Permission denied.\n"
    assert capsys.readouterr().err == denied


def test_without_a_repository_the_next_step_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))
    assert main(["validate"]) == ExitCode.USAGE
    assert "there is no folder 'prompts'" in capsys.readouterr().err


@pytest.mark.processes
def test_the_door_validates_and_pays_for_no_model_client(folder: RepositoryFolder) -> None:
    door = ROOT / "pipeline_image" / "validate_prompt.py"
    heavy = ("openai", "boto3", "botocore", "fastapi", "aiohttp", "numpy", "aws_cdk")
    script = (
        "import runpy, sys\n"
        f"try: runpy.run_path({str(door)!r}, run_name='__main__')\n"
        "except SystemExit as end: print(end.code)\n"
        f"print(sorted(set(sys.modules) & set({heavy!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder.root,
        env={**os.environ, "PYTHONPATH": str(door.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["2 tasks, 17 files: all valid", "0", "[]"]


def test_an_output_schema_is_held_against_the_provider_of_its_alias(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = "    part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}"
    folder.edit(CANDIDATE, output, f"{output}\n    ohms: {{type: number, minimum: 0}}")
    folder.stamp("part-class")
    said = f"{CANDIDATE}:22:26: output.properties.ohms.minimum: found the keyword 'minimum', which "
    for provider, fate in (
        (None, "openai-compatible ignores"),
        ({"provider": "openai"}, None),
        ({"provider": "openai", "base_url": "http://localhost/v1"}, "openai-compatible ignores"),
        ({"provider": "bedrock", "region": "eu-west-1"}, "bedrock refuses (left out, and told"),
        ({"provider": "bedrock-converse", "region": "eu-west-1"}, None),
    ):
        models = json.dumps({"catalogue-pinned": {"model": "m", **provider}}) if provider else "{"
        monkeypatch.setenv(aws_names.ENV_MODELS, models)
        assert main(["validate"]) == ExitCode.OK
        out = capsys.readouterr().out
        if fate is None:
            assert out == "2 tasks, 17 files: all valid\n"
        else:
            assert out.startswith(said + fate)
            assert " [warning: schema-provider]\n" in out
            assert out.endswith("\n2 tasks, 17 files: all valid, 1 warning\n")
