"""`make status`: what a person sees of a local stack, and where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_aws.stack import LocalStack
from local_aws.stack_reader import Observer
from local_aws.status import action_lines, status, task_line

if TYPE_CHECKING:
    from mypy_boto3_codepipeline.type_defs import ActionExecutionDetailTypeDef

NOW = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
POINTER: dict[str, object] = {
    "task": "part-class",
    "version": "1.0.0",
    "previous": {"version": "0.9.0", "sha256": "a"},
    "frozen": False,
}


def test_where_nothing_runs_it_says_what_starts_it(tmp_path: Path) -> None:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")
    state = tmp_path / "state"
    lines = list(status(LocalStack(tmp_path, state)))
    assert [line.split()[0] for line in lines[:3]] == ["cloud", "model", "console"]
    assert "does not run" in lines[0]
    assert "`make up` starts it" in lines[-1]
    assert not state.exists(), "looking leaves nothing behind"


class _Running(LocalStack):
    """A stack whose local AWS runs, as far as one asks no further."""

    is_up = True


def test_where_the_console_was_never_started_it_says_what_starts_it(tmp_path: Path) -> None:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")
    lines = status(_Running(tmp_path, tmp_path / "state"))
    first = [next(lines) for _ in range(5)]
    assert first[-1] == "console  it was not started yet: `make up` starts it."


class _TwoPages:
    """A client of DynamoDB that answers a query in two pages."""

    def get_paginator(self, operation: str) -> _TwoPages:
        return self

    def paginate(self, **query: object) -> Iterator[dict[str, object]]:
        yield {"Items": [{"version": {"S": "1.0.0"}}]}
        yield {"Items": [{"version": {"S": "1.1.0"}}]}


def test_the_newest_sample_is_found_behind_the_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStack, "tables", _TwoPages())
    monkeypatch.setattr(LocalStack, "installation", "prompt-hub")
    observer = Observer(LocalStack(Path(), Path()))
    assert [sample["version"] for sample in observer.samples("brand")] == ["1.0.0", "1.1.0"]


def test_a_hidden_file_is_no_task(tmp_path: Path) -> None:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")
    folder = tmp_path / "prompts/03-metadata"
    folder.mkdir(parents=True)
    for name in ("brand", "._brand"):
        (folder / f"{name}.yaml").touch()
    assert Observer(LocalStack(tmp_path, tmp_path / "state")).task_names() == ["brand"]


def test_a_task_is_one_line_with_what_is_active_and_what_is_wrong() -> None:
    samples: list[dict[str, object]] = [
        {"version": "1.0.0", "score": 0.8, "threshold": 0.7, "at": "2026-11-03T09:00:00Z"},
        {"version": "1.1.0", "score": 0.2, "threshold": 0.7, "at": "2026-11-03T09:10:00Z"},
    ]
    states = {"1.0.0": "active", "1.1.0": "quarantined", "0.9.0": "superseded"}
    assert task_line(POINTER, states, samples) == (
        "part-class 1.0.0 · way back 0.9.0 · quarantined 1.1.0"
        " · score 0.800 of 0.700 at 2026-11-03T09:00:00Z"
    )
    bad = [{**samples[0], "score": 0.5}]
    line = task_line({**POINTER, "previous": None, "frozen": True}, {}, bad)
    assert line.startswith("part-class 1.0.0 · way back none · FROZEN · score 0.500 of 0.700 BELOW")


def test_an_action_says_how_long_it_runs_and_why_it_failed() -> None:
    action: ActionExecutionDetailTypeDef = {
        "stageName": "Evaluate",
        "actionName": "brand",
        "status": "InProgress",
        "startTime": NOW - timedelta(seconds=80),
    }
    assert list(action_lines(action, NOW)) == ["  InProgress Evaluate / brand  runs for 1 min 20 s"]
    failed: ActionExecutionDetailTypeDef = {
        **action,
        "status": "Failed",
        "lastUpdateTime": NOW,
        "output": {"executionResult": {"externalExecutionSummary": "exit status 1"}},
    }
    assert [line.strip() for line in action_lines(failed, NOW)] == [
        "Failed     Evaluate / brand  80.0 s",
        "exit status 1",
    ]
