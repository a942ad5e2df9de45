"""Files of records on the local AWS: what dies goes on, and a rollback makes records again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from local_aws.mail import FOLDER, newest
from prompt_hub.core import aws_names
from tests.local_aws.emulator import LocalAws, eventually
from tests.local_aws.killed_run import Faults, KilledRun, kill_plans
from tests.local_aws.records_stage import (
    BAD_WORDS,
    KINDS,
    TASK,
    RecordsStage,
    records_stage,
    rows,
)


@pytest.fixture(scope="module")
def records(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordsStage]:
    """A stage with a task that has its records repaired after a rollback."""
    with records_stage(
        aws,
        tmp_path_factory.mktemp("stage"),
        children=3,
        shard_records=20,
        pause_grows=1,
        concurrency=6,
        metadata=[("records:\n", "records:\n  repair: after_rollback\n")],
    ) as made:
        yield made


def test_whatever_dies_every_record_is_there_once_and_nothing_stored_is_paid_again(
    records: RecordsStage,
) -> None:
    """The small form of `make killed-records`."""
    faults = Faults(records=100, kills=3, outage_seconds=3, seed=13)
    table = KilledRun(records, faults).run()
    assert [row for row in table if not row.holds] == []
    assert len(table) == 7


def test_a_plan_that_always_dies_is_told_and_the_file_is_answered_when_dropped_again(
    records: RecordsStage,
) -> None:
    """All seven containers are killed before they have planned; the pauses are short here."""
    model, before, killed = records.model, len(records.executions()), 0
    model.asked.clear()
    run = records.drop(rows(5), "dies.csv")

    def ended() -> bool:
        nonlocal killed
        killed += kill_plans(run)
        found = records.executions()
        return len(found) > before and found[0]["status"] != "RUNNING"

    eventually(ended, seconds=240, every=0.02, what="the end of the execution")
    execution = records.ended(before + 1)
    assert (execution["status"], execution["error"]) == ("FAILED", aws_names.NOT_PLANNED)
    assert "drop the file again" in execution["cause"]
    assert killed >= 7
    assert model.asked.total() == 0
    (mail,) = (
        file.read_text(encoding="utf-8")
        for file, subject in newest(records.aws.state / FOLDER, 100)
        if subject == "prompt-hub: records not planned"
    )
    assert "/incoming/part-class/dies.csv: its container ended 7 times and left no plan" in mail

    machines = records.aws.client("stepfunctions")
    machines.redrive_execution(executionArn=execution["executionArn"])
    again = records.ended(before + 1)
    assert (again["status"], again["error"]) == ("FAILED", aws_names.NOT_PLANNED), (
        "as the page says"
    )

    run = records.drop(rows(5), "dies.csv")
    assert records.ended(before + 2)["status"] == "SUCCEEDED"
    assert len(records.read(run, "output.jsonl").splitlines()) == 5


def test_after_a_rollback_its_records_are_made_again_beside_the_old_ones(
    records: RecordsStage,
) -> None:
    """From the measurement that falls below the threshold to the corrected output; nobody acts."""
    model, ledger = records.model, records.stage.ledger
    model.seconds = 0.0
    model.gone_bad = BAD_WORDS
    before = len(records.executions())
    run = records.drop(rows(30), "bad.csv")
    assert records.ended(before + 1)["status"] == "SUCCEEDED"
    old = records.read(run, "output.jsonl")
    assert {json.loads(line)["version"] for line in old.splitlines()} == {"1.1.0"}
    assert b"capacitor" in old

    said = records.stage.run("watch", TASK)
    # The Lambda goes back while the watch looks, or a moment later, asked by the alarm.
    assert "went back to 1.0.0" in said or "published the margin -" in said

    def rolled_back() -> bool:
        pointer = ledger.pointer(TASK)
        return pointer is not None and pointer.version == "1.0.0"

    eventually(rolled_back, seconds=120, what="the rollback")
    ended = records.ended(before + 2)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert json.loads(ended["input"])["detail-type"] == aws_names.EVENT_ROLLED_BACK

    repairs = {each.repair_of.run: each for each in records.runs("1.0.0") if each.repair_of}
    repaired = repairs[run]
    assert repaired.repair_of is not None
    assert repaired.repair_of.version == "1.1.0"
    assert records.read(run, "output.jsonl") == old, "never over the old one"
    lines = [json.loads(line) for line in records.read(repaired.run, "output.jsonl").splitlines()]
    assert [line["record"] for line in lines] == [*range(1, 31)]
    assert {line["version"] for line in lines} == {"1.0.0"}
    kinds = {"diode", "resistor", "transistor"}
    assert len(KINDS) == len(kinds)
    assert {line["output"]["part_class"] for line in lines} == kinds
    changes = [
        json.loads(line) for line in records.read(repaired.run, "changes.jsonl").splitlines()
    ]
    assert len(changes) == 30
    assert {(change["field"], change["before"]) for change in changes} == {
        ("part_class", "capacitor")
    }
    assert b"capacitor" in records.read(repaired.run, "changes.html")
