"""The first hour's page: what can be typed without a model does what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.repository.schema import Prompt
from prompt_hub.repository.yaml import parse_yaml
from tests.unit.authoring.workshop import Workshop

pytestmark = pytest.mark.shipped

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "first-hour.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(heading: str) -> list[tuple[str, str]]:
    """The blocks below a heading, each with its language."""
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return BLOCK.findall(text)


def words(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("prompt-hub")]


def test_a_task_of_your_own_is_made_labelled_and_valid_as_the_page_says(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = section("A task of your own")
    examples = "".join(text for language, text in blocks if language == "json")
    shells = [words(text) for language, text in blocks if language == "sh"]
    shown = [text for language, text in blocks if language == "text"]
    (new,), (stamp, validate), _ = shells

    assert main(new) == 0
    assert capsys.readouterr().out.startswith(shown[0])
    workshop.folder.write("prompts/01-examples/package-code.jsonl", examples)
    assert main(validate) == 1
    assert "prompt-hub validate --stamp package-code" in capsys.readouterr().out
    assert main(stamp) == 0
    assert capsys.readouterr().out == shown[1]
    # The page shows one shot of seven.
    prompt = workshop.folder.path("prompts/00-templates/package-code.yaml")
    text = prompt.read_text("utf-8").replace("few_shot: {count: 2}", "few_shot: {count: 1}")
    prompt.write_text(text, encoding="utf-8")
    assert main(validate) == 0, capsys.readouterr().out


def test_the_prompt_of_the_page_takes_the_place_of_the_one_that_new_wrote(
    workshop: Workshop,
) -> None:
    blocks = section("A task of your own")
    (prompt,) = (text for language, text in blocks if language == "yaml")
    ((new, *_), *_) = (words(text) for language, text in blocks if language == "sh")
    assert main(new) == 0
    made = workshop.folder.repository.draft("package-code")
    said = Prompt.model_validate(parse_yaml(prompt, "page").data)
    assert said.output == made.output
    assert (said.task, said.version) == (made.task, made.version)
    assert said.model.parameters == made.model.parameters
