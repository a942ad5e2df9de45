"""A batch run that the previous tree has begun is ended by this one, and nothing is paid twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion, serving
from tests.unit.building import catalogue_answer
from tests.unit.compatibility.conftest import Hub
from tests.unit.compatibility.previous_tree import FOLDER, models_at, read_lines


def test_the_journal_of_a_run_is_taken_up(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        messages = cast("list[dict[str, str]]", sent["messages"])
        asked.append(messages[-1]["content"])
        return 200, completion(json.dumps(catalogue_answer(messages)))

    for name in ("records.csv", "answers.jsonl.part"):
        shutil.copy(FOLDER / "run" / name, tmp_path / name)
    _, *finished = read_lines(FOLDER / "run/answers.jsonl.part")
    monkeypatch.setenv("PROMPT_HUB_RELEASE", "execution-8")
    output = tmp_path / "answers.jsonl"
    with serving(respond) as url:
        monkeypatch.setenv("PROMPT_HUB_MODELS", models_at(url))
        # One record of then has no answer: that is what exit code 1 says.
        message = hub(
            "run", "part-class", str(tmp_path / "records.csv"), str(output), "--json", code=1
        )
    summary = json.loads(message)
    assert (summary["records"], summary["resumed"], summary["failed"]) == (7, 4, 1)
    assert len(asked) == 3
    assert not any(line["input"].get("title", "too,short") in "".join(asked) for line in finished)
    lines = read_lines(output)
    assert lines[:4] == finished
    assert [line["output"] for line in lines[4:]] == [
        {"part_class": "resistor"},
        {"part_class": "diode"},
        {"part_class": "transistor"},
    ]
    # What calls took stands in lines since then; all else is of one kind, whoever wrote it.
    kinds = {tuple(key for key in line if key != "usage") for line in lines}
    assert kinds == {tuple(finished[0])}
    manifest = json.loads((tmp_path / "answers.jsonl.manifest.json").read_bytes())
    assert (manifest["records"], manifest["spent"]["calls"]) == (7, 3)
    assert lines[4]["sha256"] == finished[0]["sha256"]
    assert sorted(path.name for path in tmp_path.glob("answers*")) == [
        "answers.jsonl",
        "answers.jsonl.manifest.json",
    ]
