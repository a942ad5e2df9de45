"""One mistake that is found in every example is told in a few lines."""

from __future__ import annotations

import json

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import CANDIDATE, EXAMPLES, REGISTRY


@pytest.fixture
def folder(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    return healthy


def test_what_is_found_alike_in_every_example_is_told_once(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit(CANDIDATE, "required: [part_number, title]", "required: [part_number, maker]")
    folder.edit(CANDIDATE, "    title: {type: string}\n", "    maker: {type: string}\n")
    folder.edit(CANDIDATE, "{{ title }}", "{{ maker }}")
    folder.stamp("part-class")
    assert main(["validate"]) == ExitCode.BLOCKED
    lines = capsys.readouterr().out.splitlines()
    missing = next(place for place, line in enumerate(lines) if "input.maker: found" in line)
    assert lines[missing] == (
        f"{EXAMPLES}:1:35: input.maker: found nothing; expected this field, which the input schema"
        " requires [example-input]"
    )
    assert lines[missing + 1 :].count("  and 7 more like it, the last in line 8") == 2
    assert sum("input.maker: found" in line for line in lines) == 1
    assert main(["validate", "--json"]) == ExitCode.BLOCKED
    assert sum(p["field"] == "input.maker" for p in json.loads(capsys.readouterr().out)) == 8


def test_of_findings_that_differ_the_first_three_are_told(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit(CANDIDATE, "[capacitor, resistor, diode, transistor]", "[relay]")
    folder.stamp("part-class")
    assert main(["validate"]) == ExitCode.BLOCKED
    out = capsys.readouterr().out
    assert out.count("; expected one of: relay [example-expected]") == 3
    assert "  and 5 more like it, the last in line 8\n" in out


def test_a_mistake_in_a_block_is_told_once_however_many_tasks_include_it(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("prompts/00-templates/shared.txt", "{{ foo() }}\n")
    block = "{% include 'shared.txt' %}"
    folder.edit("prompts/00-templates/brand.yaml", "Which brand is", f"{block} Which brand is")
    folder.edit(CANDIDATE, "Part number:", f"{block} Part number:")
    assert main(["validate", "--json"]) == ExitCode.BLOCKED
    rules = [problem["rule"] for problem in json.loads(capsys.readouterr().out)]
    assert rules.count("template-unsafe") == 1
    assert main(["validate"]) == ExitCode.BLOCKED
    assert "more like it" not in capsys.readouterr().out
    assert main(["validate", "--github"]) == ExitCode.BLOCKED
    assert capsys.readouterr().out.count("title=template-unsafe::") == 1
    for task in ("brand", "part-class"):
        assert main(["validate", task]) == ExitCode.BLOCKED
        assert capsys.readouterr().out.count("[template-unsafe]") == 1


def test_how_to_mend_is_told_once_a_rule(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ titl }} {{ title }}")
    assert main(["validate"]) == ExitCode.BLOCKED
    mend = "undeclared-variable: Correct the name, or declare the property in `input`."
    assert capsys.readouterr().out.splitlines()[-2:] == [
        mend,
        "2 tasks, 17 files: 2 problems in 1 file",
    ]


def test_a_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--explain", "few-shot"]) == ExitCode.OK
    assert capsys.readouterr().out == (
        "few-shot: There are as many examples with `split: shot` as the prompt shows.\n"
        "Lower `few_shot.count`, or label more examples as shots.\n"
    )
    assert main(["validate", "--explain", ""]) == ExitCode.USAGE
    assert main(["validate", "--explain", "few-shots"]) == ExitCode.USAGE
    assert "there is no rule 'few-shots'. Did you mean 'few-shot'?" in capsys.readouterr().err


def test_a_conflict_in_the_registry_is_not_mended_by_a_side(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """A side alone loses what the other has released."""
    mine = "<<<<<<< HEAD\ntasks:\n=======\ntasks: {}\n>>>>>>> mine\n"
    folder.edit(REGISTRY, "tasks:\n", mine)
    assert main(["validate"]) == ExitCode.BLOCKED
    told = capsys.readouterr().out
    assert "prompt_registry.yaml:4:1: found a conflict marker" in told
    assert "expected one of the two sides" not in told
    _, mend = told.split("\nconflict-marker: ")
    assert "`prompt_registry.yaml`" in mend
    assert "`git rebase --abort`" in mend


class Topic:
    """SNS that keeps what is published."""

    def __init__(self) -> None:
        self.published: list[dict[str, str]] = []

    def publish(self, **message: str) -> None:
        self.published.append(message)


def test_people_are_told_of_the_lines_inside_the_pipeline(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    topic = Topic()
    monkeypatch.setattr(boto3, "client", {"sns": topic}.__getitem__)
    monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, "arn:topic")
    monkeypatch.setenv(aws_names.ENV_RELEASE, "exec-1")
    assert main(["validate", "--tell"]) == ExitCode.OK
    assert topic.published == []
    folder.edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}")
    assert main(["validate", "--tell"]) == ExitCode.BLOCKED
    (message,) = topic.published
    assert message["Subject"] == "prompt-hub: not valid"
    assert message["Message"].startswith("Execution exec-1 of prompt-hub ends red: at commit ")
    assert (
        f"{CANDIDATE}:31:17: messages.1.content: found the variable 'titel'" in (message["Message"])
    )
