"""What activation does with a plan while others change the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from prompt_hub.ledger.items import NO_WAY_BACK, ReleaseRef, VersionRef
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.activate_command import take
from prompt_hub.release.manifest import Release
from prompt_hub.release.plan import Move, NoWayBack, Seed
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
CAUSE = Cause(by="ann", reason="test", at="2026-11-03T09:30:00.000000Z")
RELEASE = Release(
    schema_="prompt-hub/release@1",
    release="exec-2",
    commit="c0ffee",
    made_at=datetime(2026, 11, 3, 10, tzinfo=UTC),
    tasks={},
)


def test_a_task_that_somebody_else_changed_holds_up_no_other() -> None:
    ledger = ledger_on(FakeDynamoDB())
    before = ReleaseRef(release="exec-1", made_at="2026")
    for task in ("brand", "part-class"):
        ledger.seed(task, OLD, previous=None, release=before, cause=CAUSE)
    steps = [
        Move(task=task, to=NEW, left=OLD, seen=seen, no_way_back=None)
        for task, seen in (("brand", 1), ("part-class", 2))
    ]
    ledger.freeze("brand", seen=1, cause=CAUSE)

    done = take(ledger, RELEASE, [*steps, Seed(task="unit", to=OLD, previous=None)])

    assert (done.moved, done.failed) == (["part-class", "unit"], ["brand"])
    active = {task: pointer.version for task, pointer in ledger.pointers().items()}
    assert active == {"brand": "1.0.0", "part-class": "1.1.0", "unit": "1.0.0"}
    pointer = ledger.pointer("part-class")
    assert pointer is not None
    assert pointer.previous == OLD
    assert pointer.release == RELEASE.reference


def test_a_move_without_a_way_back_keeps_the_reason_in_the_history() -> None:
    ledger = ledger_on(FakeDynamoDB())
    before = ReleaseRef(release="exec-1", made_at="2026")
    ledger.seed("brand", OLD, previous=None, release=before, cause=CAUSE)
    why = NoWayBack(code="way-back-not-carried", reason="the image does not carry 1.0.0")

    take(ledger, RELEASE, [Move(task="brand", to=NEW, left=OLD, seen=1, no_way_back=why)])

    pointer = ledger.pointer("brand")
    assert pointer is not None
    assert (pointer.active, pointer.previous) == (NEW, None)
    assert ledger.events("brand", 1)[0].evidence == {
        NO_WAY_BACK: {"code": why.code, "reason": why.reason}
    }
