"""The loader on the emulator's DynamoDB, by its defaults: the stage's table, the SDK's settings."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import ReleaseRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.loader import Prompts
from prompt_hub.release.manifest import load
from tests.local_aws.emulator import LocalAws, create_table
from tests.unit.building import build

STAGE, TASK = "loader-test", "part-class"
AT = "2026-11-03T09:30:00.000000Z"
CAUSE = Cause(by="ann", reason="test", at=AT, evidence={})


def test_it_follows_the_table_of_its_stage_and_a_rollback_in_it(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build(tmp_path).root
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    table = aws_names.ledger_table(STAGE)
    create_table(aws, table)
    ledger = Ledger.connect(table)
    new, old = (version.reference for version in load(root).tasks[TASK].versions)
    release = ReleaseRef(release="r-1", made_at=AT)
    try:
        with Prompts(STAGE, root=root, poll_seconds=0.05) as prompts:
            assert prompts.ready
            assert [*prompts] == []
            event = ledger.seed(TASK, new, previous=old, release=release, cause=CAUSE)
            await_version(prompts, "1.1.0")
            ledger.roll_back(TASK, seen=event.revision, cause=CAUSE)
            await_version(prompts, "1.0.0")
            assert prompts[TASK].source == "ledger"
    finally:
        aws.client("dynamodb").delete_table(TableName=table)


def await_version(prompts: Prompts, version: str) -> None:
    deadline = time.monotonic() + 20
    while TASK not in prompts or prompts[TASK].version != version:
        assert time.monotonic() < deadline, f"{version} did not become active here"
        time.sleep(0.02)
