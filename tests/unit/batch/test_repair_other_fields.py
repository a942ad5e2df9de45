"""A repair where the restored version takes other fields than the bad one: the source has them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from prompt_hub.batch.repair import RepairSurvey, require_fields
from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.schema import JsonObject, Prompt
from tests.unit.batch.repairing import BY_ADA
from tests.unit.batch.running import ROWS, Model, Run
from tests.unit.building import RepositoryFolder

TEXT: JsonObject = {"type": "string"}
NUMBER: JsonObject = {"type": "number"}
ANY: JsonObject = {"description": "whatever it is"}
MAYBE: JsonObject = {"type": ["integer", "null"]}


@pytest.mark.parametrize("how", ["--dry-run", "--yes"])
def test_a_run_that_was_not_given_an_optional_field_is_left_out(
    healthy: RepositoryFolder,
    run: Run,
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    template = "prompts/00-templates/part-class.yaml"
    healthy.edit(template, "    manufacturer: {type: string}\n", "")
    maker = "      {% if manufacturer is defined %}Manufacturer: {{ manufacturer }}{% endif %}\n"
    healthy.edit(template, maker, "")
    healthy.edit("prompts/03-metadata/part-class.yaml", "    manufacturer: [Brand]\n", "")
    examples = healthy.repository.examples("part-class")
    lines = healthy.read("prompts/01-examples/part-class.jsonl")
    for example in examples:
        lines = lines.replace(f', "manufacturer": "{example.input["manufacturer"]}"', "")
    healthy.write("prompts/01-examples/part-class.jsonl", lines)
    healthy.promote("part-class")
    assert run(*ROWS)[0] == ExitCode.OK
    assert main(["promote", "downgrade", "part-class", "--to", "1.1.0", *BY_ADA]) == ExitCode.OK
    asked = len(model.asked)
    capsys.readouterr()

    repair = ["repair", "part-class", "--version", "1.2.0"]
    assert main([*repair, how]) == ExitCode.BLOCKED
    told = capsys.readouterr().err
    assert "left out: part-class 1.1.0 takes manufacturer, which 1.2.0 was not given" in told
    assert "nothing to repair" not in told
    assert (len(model.asked), list(tmp_path.glob("out-repaired*"))) == (asked, [])


def prompt(version: str, **fields: JsonObject) -> Prompt:
    return Prompt.model_validate(
        {
            "schema": "prompt-hub/prompt@1",
            "task": "part",
            "version": version,
            "description": "Kinds of parts.",
            "model": {"alias": "catalogue-pinned"},
            "input": {"type": "object", "required": list(fields), "properties": fields},
            "output": {"type": "object"},
            "messages": [{"role": "user", "content": "Which part?"}],
        }
    )


def require(bad: Prompt | None, restored: Prompt, samples: list[JsonObject]) -> None:
    require_fields(RepairSurvey(samples=samples), bad, restored, "1.1.0")


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize(
    ("restored", "name"),
    [
        ({"title": TEXT, "package": TEXT}, "package"),
        ({"title": TEXT, "qty": TEXT}, "qty"),
    ],
)
def test_a_required_field_or_another_type_is_named(
    restored: dict[str, JsonObject], name: str, *, is_gone: bool
) -> None:
    bad = None if is_gone else prompt("1.1.0", title=TEXT, qty=NUMBER)
    with pytest.raises(
        PromptHubError, match=rf"part 1\.0\.0 takes {name}, which 1\.1\.0"
    ) as caught:
        require(bad, prompt("1.0.0", **restored), [{"title": "BAT54", "qty": 805}])
    assert caught.value.exit_code is ExitCode.BLOCKED


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize("restored", [{"title": TEXT}, {"qty": MAYBE}, {"qty": ANY}, {}])
def test_fewer_fields_and_wider_types_are_repaired(
    restored: dict[str, JsonObject], *, is_gone: bool
) -> None:
    bad = None if is_gone else prompt("1.1.0", title=TEXT, qty=NUMBER)
    samples = [cast(JsonObject, {"title": "BAT54", "qty": 805})]
    require(bad, prompt("1.0.0", **restored), samples)
