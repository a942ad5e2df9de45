"""`make records`: what rows of one's own have to be, said before anything is started or pushed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws.aliases import FLOATING, aliases, set_alias
from local_aws.processes import LocalRunError
from local_aws.records_run import FIELDS, RecordsRun, inputs_in
from local_aws.scripted_model import SCRIPTED
from local_aws.stack import LocalStack
from local_aws.weights import DEFAULT, SMALL

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


@pytest.mark.parametrize(
    ("floating", "pinned", "after"),
    [(SMALL.name, DEFAULT.name, SMALL.name), (SCRIPTED, SCRIPTED, DEFAULT.name)],
    ids=["a weaker one", "of a run that was killed"],
)
def test_models_come_back_as_they_were_but_not_what_a_killed_run_left(
    tmp_path: Path, floating: str, pinned: str, after: str
) -> None:
    (tmp_path / "cdk.json").write_text('{"context": {"prompt-hub": {}}}', encoding="utf-8")
    set_alias(tmp_path / "model", FLOATING, floating)
    set_alias(tmp_path / "model", DEFAULT.name, pinned)
    with RecordsRun(LocalStack(tmp_path, tmp_path))._scripted():
        assert aliases(tmp_path / "model") == {FLOATING: SCRIPTED, DEFAULT.name: SCRIPTED}
    assert aliases(tmp_path / "model") == {FLOATING: after, DEFAULT.name: DEFAULT.name}
