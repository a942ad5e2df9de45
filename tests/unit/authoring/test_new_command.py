"""`prompt-hub new`: a task that works at once, or one sentence and not a byte."""

from __future__ import annotations

import json

import pytest

from prompt_hub.authoring.starter import parse_fields
from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.gate.types import Status
from prompt_hub.promotion import transitions
from prompt_hub.promotion.release_check import release_blocker
from prompt_hub.promotion.states import NotAllowedError
from tests.unit.authoring.workshop import Workshop
from tests.unit.building import MADE_AT


def test_a_new_task_validates_and_evaluates_with_no_edit(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workshop.new("mounting") == ExitCode.OK
    message = capsys.readouterr().out
    for layer, ending in (
        ("00-templates", "yaml"),
        ("01-examples", "jsonl"),
        ("03-metadata", "yaml"),
    ):
        assert f"written  prompts/{layer}/mounting.{ending}" in message
    assert "replace the examples" in message
    assert "read the prompt, prompts/00-templates/mounting.yaml" in message
    # Nothing is wrong, but that it is nobody's own yet; the gate's margin is one that can be shown.
    assert workshop.folder.errors() == []
    assert workshop.folder.rules_broken() == ["placeholder"]
    metadata = workshop.folder.read("prompts/03-metadata/mounting.yaml")
    assert "# 6 examples can show no less: label more" in metadata
    assert workshop.folder.repository.metadata("mounting").gate.margin == 0.32
    record = workshop.evaluated("mounting")
    assert record.verdict.status is Status.PASS
    assert record.candidate is not None
    assert record.candidate.n == 6
    # It asks for the alias that the repository's tasks use, not for one that nobody configured.
    assert record.candidate.alias == "catalogue-latest"
    examples = workshop.folder.repository.examples("mounting")
    assert all(
        "starter" in example.tags and example.id.startswith("replace-me") for example in examples
    )


def test_what_new_wrote_is_released_by_nobody(
    workshop: Workshop,
) -> None:
    assert workshop.new("mounting") == ExitCode.OK
    record = workshop.evaluated("mounting")
    repository = workshop.folder.repository
    with pytest.raises(NotAllowedError, match="8 of its examples are those that"):
        transitions.promote(repository, record, "", MADE_AT)
    # Who evaluates it hears of it before a push.
    assert "8 of its examples are those that" in (release_blocker(repository, record) or "")


def test_fields_are_named_on_the_command_line(workshop: Workshop) -> None:
    arguments = [
        "package",
        *("--input", "title, supplier?"),
        *("--output", "mounting:SMD|THT,pins:integer,height:number,lead_free:boolean,note"),
        *(
            "--owner",
            "Ada",
            "--description",
            "How a part is mounted.",
            "--model",
            "catalogue-pinned",
        ),
    ]
    assert workshop.new(*arguments) == ExitCode.OK
    prompt = workshop.folder.repository.draft("package")
    assert prompt.input["required"] == ["title"]
    assert prompt.output["properties"] == {
        "mounting": {"type": "string", "enum": ["SMD", "THT"]},
        "pins": {"type": "integer"},
        "height": {"type": "number"},
        "lead_free": {"type": "boolean"},
        "note": {"type": "string"},
    }
    metadata = workshop.folder.repository.metadata("package")
    assert (metadata.owner, metadata.description) == ("Ada", "How a part is mounted.")
    assert workshop.folder.errors() == []
    # Nobody reads the prompt of a task whose examples are replaced: it holds no placeholder.
    assert "REPLACE ME" not in workshop.folder.read("prompts/00-templates/package.yaml")
    assert workshop.evaluated("package").verdict.status is Status.PASS


@pytest.mark.parametrize(
    "fields",
    ["", "Title", "title,", "title,title", "n:float", "n:a|", "n:a|a", "a b", "x:|", "x:y:z"],
)
def test_fields_that_are_none_are_named(workshop: Workshop, fields: str) -> None:
    before = workshop.snapshot()
    if not fields:
        with pytest.raises(PromptHubError, match="is no field"):
            parse_fields(fields, "--input")
        return
    assert workshop.new("package", "--input", fields) == ExitCode.USAGE
    assert workshop.new("package", "--output", fields) == ExitCode.USAGE
    assert workshop.snapshot() == before


def test_choices_that_look_like_numbers_stand_in_quotes(workshop: Workshop) -> None:
    packages = "0402|0805|1e3|0o17|.5|SOT-23"
    assert main(["new", "package-code", "--output", f"package:{packages}"]) == ExitCode.OK
    text = workshop.folder.path("prompts/00-templates/package-code.yaml").read_text("utf-8")
    written = text[text.index("enum:") : text.index("few_shot")]
    assert written.count("'") == 2 * 5, text
    assert "SOT-23" in written.replace("'SOT-23'", "")


def test_a_task_in_the_shape_of_another(workshop: Workshop) -> None:
    metadata = "prompts/03-metadata/part-class.yaml"
    override = "override: {person: Ada, reason: labels are disputed, version: 1.2.0}\n"
    workshop.folder.write(metadata, workshop.folder.read(metadata) + override)
    assert workshop.new("connector-class", "--from", "part-class") == ExitCode.OK
    assert workshop.folder.findings() == []
    repository = workshop.folder.repository
    copy, original = repository.draft("connector-class"), repository.draft("part-class")
    assert (copy.version, copy.task) == ("0.1.0", "connector-class")
    assert copy.messages == original.messages
    assert repository.examples("connector-class") == repository.examples("part-class")
    assert repository.metadata("connector-class").override is None
    text = workshop.folder.read("prompts/03-metadata/connector-class.yaml")
    assert "# What the catalogue team has decided about part classes." in text
    assert "version: 0.1.0  # moves with the candidate" in text
    assert workshop.evaluated("connector-class").verdict.status is Status.PASS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model", "UPPER"], "model.alias: found 'UPPER'"),
        (["--description", "Line {{ x }}"], "found the variable 'x'"),
    ],
)
def test_a_task_that_validation_would_refuse_is_not_written(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    before = workshop.snapshot()
    assert workshop.new("mounting", *words) == ExitCode.BLOCKED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "nothing was written: mounting would not be valid.\n  prompts/" in captured.err
    assert expected in captured.err
    assert workshop.snapshot() == before


def test_a_copy_is_checked_with_the_building_blocks_judge_and_scorers_that_it_names(
    workshop: Workshop,
) -> None:
    workshop.folder.write("own.py", "def score(output, expected, input):\n    return 1.0\n")
    workshop.folder.edit(
        "prompts/03-metadata/brand.yaml",
        "scorers: [{type: text, field: brand}]",
        "scorers: [{type: python, entry: 'own:score'}]",
    )
    assert workshop.folder.findings() == []
    for source in ("brand", "part-class"):
        assert workshop.new(f"{source}-again", "--from", source) == ExitCode.OK
    assert workshop.folder.findings() == []


def test_a_file_that_cannot_be_copied_is_named(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata, candidate = "prompts/03-metadata/brand.yaml", "00-templates/brand.yaml"
    workshop.folder.edit(metadata, f"candidate: {candidate}", f"candidate: >-\n  {candidate}")
    assert workshop.new("polarity", "--from", "brand") == ExitCode.BLOCKED
    assert f"{metadata} is written in a way that cannot be copied." in capsys.readouterr().err


def test_what_is_wrong_elsewhere_keeps_nobody_from_a_new_task(workshop: Workshop) -> None:
    workshop.folder.write("prompts/02-production/brand.yaml", "a: [\n")
    assert workshop.new("mounting") == ExitCode.OK
    # The first task, whose alias a new one would have by default.
    workshop.folder.write("prompts/00-templates/brand.yaml", "a: [\n")
    assert workshop.new("polarity") == ExitCode.OK
    alias = workshop.folder.repository.draft("mounting").model.alias
    assert workshop.folder.repository.draft("polarity").model.alias == alias


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("../outside", ExitCode.USAGE, "is no name for a task"),
        ("a/b", ExitCode.USAGE, "is no name for a task"),
        ("Upper", ExitCode.USAGE, "is no name for a task"),
        ("x" * 49, ExitCode.USAGE, "at most 48 characters"),
        ("brand", ExitCode.BLOCKED, "there is 'brand' already"),
        ("draft-only", ExitCode.BLOCKED, "prompts/00-templates/draft-only.yaml"),
        ("evaluated-once", ExitCode.BLOCKED, "prompts/04-evals/evaluated-once"),
    ],
)
def test_a_name_that_is_taken_or_none_is_refused(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], name: str, code: int, expected: str
) -> None:
    workshop.folder.write("prompts/00-templates/draft-only.yaml", "a: draft\n")
    workshop.folder.write("prompts/04-evals/evaluated-once/0.1.0.json", "{}\n")
    before = workshop.snapshot()
    assert workshop.new(name) == code
    assert expected in capsys.readouterr().err
    assert workshop.snapshot() == before


def test_options_that_would_be_ignored_are_refused(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workshop.new("x", "--from", "brand", "--output", "a") == ExitCode.USAGE
    assert "--output means nothing together with --from" in capsys.readouterr().err
    assert workshop.new("x", "--from", "nothing") == ExitCode.USAGE
    assert "there is no task 'nothing'" in capsys.readouterr().err
    workshop.folder.edit("prompts/00-templates/brand.yaml", "{{ manufacturer }}", "{{ maker }}")
    assert workshop.new("x", "--from", "brand") == ExitCode.BLOCKED
    assert "brand is not valid itself" in capsys.readouterr().err


def test_a_configuration_that_is_not_there_is_named_as_it_was_given(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workshop.take("x", "/no/such/nope.yaml") == ExitCode.USAGE
    assert "there is no file /no/such/nope.yaml." in capsys.readouterr().err


def test_the_result_as_json(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    assert workshop.new("mounting", "--json") == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert result["task"] == "mounting"
    assert len(result["files"]) == 3
    assert result["next"]
