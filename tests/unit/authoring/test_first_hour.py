"""The first hour's page: what can be typed without a model does what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
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
    (prompt,) = (text for language, text in blocks if language == "yaml")
    # The page shows one shot of seven.
    prompt = prompt.replace("few_shot: {count: 7}", "few_shot: {count: 1}")
    workshop.folder.write("prompts/00-templates/package-code.yaml", prompt)
    assert main(validate) == 1
    assert "prompt-hub validate --stamp package-code" in capsys.readouterr().out
    assert main(stamp) == 0
    assert capsys.readouterr().out == shown[1]
    assert main(validate) == 0, capsys.readouterr().out


def test_the_version_that_is_to_be_blocked_is_valid(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = section("A task of your own")
    (new,), (stamp, validate), _ = (words(text) for language, text in blocks if language == "sh")
    (prompt,) = (text for language, text in blocks if language == "yaml")
    (messages,) = (text for language, text in section("A blocked one") if language == "yaml")

    assert main(new) == 0
    examples = "".join(text for language, text in blocks if language == "json")
    workshop.folder.write("prompts/01-examples/package-code.jsonl", examples)
    shown = re.sub(r"^few_shot:.*\n", "", prompt[: prompt.index("messages:")], flags=re.MULTILINE)
    workshop.folder.write("prompts/00-templates/package-code.yaml", shown + messages)
    assert main(stamp) == 0
    assert main(validate) == 0, capsys.readouterr().out
