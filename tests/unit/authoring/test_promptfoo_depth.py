"""Texts of a promptfoo configuration that begin like JSON are read as far as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from prompt_hub.authoring.importing.javascript import parts
from prompt_hub.core.errors import ExitCode
from tests.unit.authoring.workshop import Workshop


def test_texts_that_look_like_json_without_end_are_texts(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = "[" * 5000
    source = tmp_path / "promptfooconfig.yaml"
    source.write_text(
        json.dumps(
            {
                "prompts": [f"{deep} {{{{title}}}}"],
                "providers": ["openai:gpt-4.1-mini"],
                "tests": [
                    {
                        "vars": {"title": f"part {number}"},
                        "assert": [{"type": "equals", "value": '{"a":' * 5000}],
                    }
                    for number in range(4)
                ],
            }
        )
    )
    words = (str(source), "--model", "catalogue-pinned")
    assert workshop.take("from-deep", *words) == ExitCode.OK
    assert "Traceback" not in capsys.readouterr().err
    draft = workshop.folder.repository.draft("from-deep")
    assert any(deep in message.content for message in draft.messages)


def test_every_part_of_a_value_comes_once_in_its_order_however_deep() -> None:
    assert list(parts({"a": [1, {"b": 2}], "c": 3})) == [
        {"a": [1, {"b": 2}], "c": 3},
        [1, {"b": 2}],
        1,
        {"b": 2},
        2,
        3,
    ]
    deep: JsonValue = []
    for _ in range(5000):
        deep = [deep]
    assert sum(1 for _ in parts(deep)) == 5001
