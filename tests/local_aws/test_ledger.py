"""The ledger on the emulator's DynamoDB: the conditions that the fake table only claims to have."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from prompt_hub.ledger.errors import LedgerConflictError, LedgerMissingError, TransitionRefusedError
from prompt_hub.ledger.items import (
    Deployed,
    Notify,
    ReleaseRef,
    ScoreSample,
    VersionRef,
    VersionState,
)
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from tests.local_aws.emulator import LocalAws, create_table

OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
AT = "2026-11-03T09:30:00.000000Z"
RELEASE = ReleaseRef(release="r-1", made_at=AT)
CAUSE = Cause(by="ann", reason="test", at=AT, evidence={"score": 0.5, "n": 40})


@pytest.fixture
def ledger(aws: LocalAws) -> Iterator[Outbox]:
    table = f"ledger-{uuid4().hex}"
    create_table(aws, table)
    yield Outbox(aws.client("dynamodb"), table)
    aws.client("dynamodb").delete_table(TableName=table)


def seed(ledger: Ledger, task: str) -> int:
    event = ledger.seed(task, NEW, previous=OLD, release=RELEASE, cause=CAUSE)
    return event.revision


def test_a_rollback_is_one_transaction_and_reads_back_whole(ledger: Ledger) -> None:
    seen = seed(ledger, "part-class")
    event = ledger.roll_back("part-class", seen=seen, cause=CAUSE)

    pointer = ledger.pointer("part-class")
    assert pointer is not None
    assert (pointer.active, pointer.previous, pointer.revision) == (OLD, None, 2)
    assert ledger.version_states("part-class") == {
        "1.0.0": VersionState.ACTIVE,
        "1.1.0": VersionState.QUARANTINED,
    }
    assert ledger.events("part-class")[0] == event
    assert ledger.pending_events() == (event,)
    now = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
    first = ledger.claim(at=now, seconds=20)
    assert first is not None
    assert ledger.claim(at=now, seconds=20) is None
    claim = ledger.told(first, [event], at=now)
    (told,) = ledger.pending_events()
    assert told == replace(event, notify=Notify.TOLD)
    with pytest.raises(LedgerConflictError):
        ledger.finished(first, [told])
    ledger.finished(claim, [told])
    assert ledger.pending_events() == ()
    ledger.release(claim)
    assert ledger.claim(at=now, seconds=20) is not None
    with pytest.raises(TransitionRefusedError):
        ledger.roll_back("part-class", seen=2, cause=CAUSE)


def test_a_page_checks_the_pointer_without_writing_it(ledger: Ledger) -> None:
    seen = seed(ledger, "part-class")
    before = ledger.pointer("part-class")
    ledger.page("part-class", seen=seen, cause=CAUSE)
    assert ledger.pointer("part-class") == before
    assert ledger.revision() == 2


def test_of_many_rollbacks_at_once_exactly_one_wins(ledger: Ledger) -> None:
    seen = seed(ledger, "part-class")

    def attempt(_: int) -> bool:
        try:
            ledger.roll_back("part-class", seen=seen, cause=CAUSE)
        except LedgerConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [False] * 7 + [True]
    assert ledger.revision() == 2


def test_many_tasks_at_once_all_get_their_turn(ledger: Ledger) -> None:
    tasks = [f"task-{index}" for index in range(12)]
    with ThreadPoolExecutor(6) as pool:
        seen = dict(zip(tasks, pool.map(lambda task: seed(ledger, task), tasks), strict=True))
        pool.map(lambda task: ledger.roll_back(task, seen=seen[task], cause=CAUSE), tasks)
    assert ledger.revision() == 24
    revisions = sorted(event.revision for task in tasks for event in ledger.events(task))
    assert revisions == list(range(1, 25))
    assert {pointer.version for pointer in ledger.pointers().values()} == {"1.0.0"}


def test_samples_and_the_deployed_release(ledger: Ledger) -> None:
    samples = [
        ScoreSample(
            task="part-class",
            version=version,
            score=score,
            threshold=0.85,
            n=40,
            interval=(score - 0.1, score + 0.1),
            evaluation="round",
            at=AT,
        )
        for version, score in (("1.1.0", 0.55), ("1.0.0", 0.1 + 0.2))
    ]
    ledger.add_samples(samples)
    assert set(ledger.samples("part-class", 10)) == set(samples)
    assert len(ledger.samples("part-class", 1)) == 1
    with pytest.raises(LedgerConflictError):
        ledger.add_samples(samples[:1])

    deployed = Deployed(
        release=RELEASE, commit="c0ffee", carries={"part-class": {"1.1.0": "new"}}, at=AT
    )
    ledger.deploy(deployed, by="pipeline")
    assert ledger.deployed() == deployed
    assert ledger.version_states("part-class") == {"1.1.0": VersionState.RELEASED}


def test_a_stage_that_was_never_deployed_has_no_table_and_that_is_told_apart(aws: LocalAws) -> None:
    with pytest.raises(LedgerMissingError, match="there is no table ledger-of-no-stage"):
        Ledger(aws.client("dynamodb"), "ledger-of-no-stage").pointers()
