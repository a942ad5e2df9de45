"""`make records`: what rows of one's own have to be, said before anything is started or pushed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws.processes import LocalRunError
from local_aws.records_run import FIELDS, RecordsRun, inputs_in
from local_aws.stack import LocalStack

PART = {name: name for name in FIELDS}


def test_rows_are_read_with_what_the_task_asks_for(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    line = json.dumps({"id": "a", "input": {**PART, "more": "than that"}})
    rows.write_text(f"{line}\n\n", encoding="utf-8")
    assert inputs_in(rows) == [PART]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"input": {"title": "a part"}}\n', "KeyError('part_number')"),
        ('{"fields": {}}\n', "KeyError('input')"),
        ("part_number;title\n", "JSONDecodeError"),
        ("\n", "holds no record"),
    ],
)
def test_rows_that_are_none_are_a_sentence(tmp_path: Path, text: str, found: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(text, encoding="utf-8")
    with pytest.raises(LocalRunError) as raised:
        inputs_in(rows)
    assert str(rows) in str(raised.value)
    assert found in str(raised.value)


def test_rows_that_are_not_there_are_told_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(stack: LocalStack) -> bool:
        raise AssertionError("it was started")

    monkeypatch.setattr(LocalStack, "start", start)
    (tmp_path / "cdk.json").write_text('{"context": {"prompt-hub": {}}}', encoding="utf-8")
    (tmp_path / "told.json").write_text("{}", encoding="utf-8")
    with pytest.raises(LocalRunError, match="cannot be read: No such file"):
        RecordsRun(LocalStack(tmp_path, tmp_path)).run(tmp_path / "none.jsonl", 10)
