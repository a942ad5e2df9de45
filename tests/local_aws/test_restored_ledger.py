"""A ledger is lost and restored under another name: the stage goes on with that one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from prompt_hub.ledger.items import VersionState
from tests.local_aws.emulator import LocalAws, eventually
from tests.local_aws.stage_commands import Stage, catalogue_stage, newer_is_wrong

RESTORED = "dev-after-the-loss"
BY_ANN = ("--person", "ann", "--reason", "supplier audit")


@pytest.fixture
def stage(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with catalogue_stage(aws, tmp_path_factory.mktemp("tree")) as made:
        made.promoted("exec-1")
        yield made


def items(stage: Stage, table: str) -> list[Any]:
    found = stage.aws.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: json.dumps(item, sort_keys=True))


def test_a_stage_goes_on_with_the_table_that_its_ledger_was_restored_as(stage: Stage) -> None:
    stage.run("activate", "--no-watch")
    own, dynamodb = stage.table, stage.aws.client("dynamodb")
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=own, TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    dynamodb.get_waiter("table_exists").wait(TableName=RESTORED)
    assert items(stage, RESTORED) == items(stage, own) != []
    # What is lost: after it, nothing of the old table may be believed.
    stage.run("ledger", "freeze", "part-class", *BY_ANN)
    lost = items(stage, own)

    stage.restored = RESTORED
    shown = json.loads(stage.run("ledger", "show", "part-class", "--json"))
    assert not json.dumps(shown).count("supplier audit"), "it is the restored one that is shown"
    stage.promoted("exec-2")
    assert "part-class" in stage.run("activate", "--no-watch")
    with stage.serving():
        assert stage.served()["part-class"] == "1.1.0"
        stage.put_alarm()
        stage.provider.thinks = newer_is_wrong
        stage.run("watch", "part-class")
        eventually(lambda: stage.alarm() == "ALARM", what="the score alarm")
        stage.rolled_back_when_shown("part-class")
        eventually(lambda: stage.served()["part-class"] == "1.0.0", what="the rollback")
    states = stage.ledger.version_states("part-class")
    assert states["1.1.0"] is VersionState.QUARANTINED
    stage.run("ledger", "freeze", "brand", *BY_ANN)

    assert items(stage, own) == lost, "the old table is left as it is"
    # Without the setting the old table would still answer, which is why its name goes with care.
    stage.restored = ""
    assert "supplier audit" in stage.run("ledger", "show", "part-class", "--json")
    stage.restored = "nowhere"
    assert "there is no table nowhere" in stage.run("ledger", "show", code=2)
