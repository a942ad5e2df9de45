"""What activation does with a plan while others change the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prompt_hub.ledger.items import NO_WAY_BACK, ReleaseRef, VersionRef, VersionState
from prompt_hub.ledger.transitions import Cause
from prompt_hub.promotion import transitions
from prompt_hub.promotion.states import Decision
from prompt_hub.release.activation import execute
from prompt_hub.release.manifest import Release, build_manifest
from prompt_hub.release.plan import Move, NoWayBack, Seed, StageState, plan
from prompt_hub.repository.transaction import apply
from tests.unit.building import MADE_AT, RepositoryFolder
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

    done = execute(ledger, RELEASE, [*steps, Seed(task="unit", to=OLD, previous=None)])

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

    execute(ledger, RELEASE, [Move(task="brand", to=NEW, left=OLD, seen=1, no_way_back=why)])

    pointer = ledger.pointer("brand")
    assert pointer is not None
    assert (pointer.active, pointer.previous) == (NEW, None)
    assert ledger.events("brand", 1)[0].evidence == {
        NO_WAY_BACK: {"code": why.code, "reason": why.reason}
    }


def test_a_task_whose_only_version_did_harm_goes_out_of_service_and_comes_back(
    healthy: RepositoryFolder,
) -> None:
    """Archived, quarantined, released again: each with a release of its own."""
    ledger = ledger_on(FakeDynamoDB())
    ann = Decision("ann", "it names the wrong brands", override=True)

    def activated(number: int) -> Release:
        made_at = MADE_AT + timedelta(hours=number)
        release = build_manifest(
            healthy.repository,
            release=f"exec-{number}",
            commit="c0ffee",
            made_at=made_at,
            live=list(ledger.pointers().values()),
        )
        stage = StageState(
            pointers=ledger.pointers(),
            retired=ledger.retired(),
            versions={task: ledger.versions(task) for task in release.tasks},
            models={
                version.model.alias: version.model.identity
                for task in release.tasks.values()
                for version in task.versions
            },
        )
        assert execute(ledger, release, plan(release, stage)).failed == []
        return release

    def later(number: int) -> datetime:
        return MADE_AT + timedelta(hours=number, minutes=-1)

    activated(1)
    assert set(ledger.pointers()) == {"brand", "part-class"}

    apply(healthy.root, transitions.archive(healthy.repository, "brand", ann, later(2)))
    activated(2)
    assert set(ledger.pointers()) == {"part-class"}
    assert ledger.version_states("brand") == {"1.0.0": VersionState.RETIRED}

    changes = transitions.quarantine(healthy.repository, "brand", "1.0.0", ann, later(3))
    apply(healthy.root, changes)
    release = activated(3)
    assert release.tasks["brand"].versions == ()
    assert set(ledger.pointers()) == {"part-class"}

    changes = transitions.downgrade(healthy.repository, "brand", "1.0.0", ann, later(4))
    apply(healthy.root, changes)
    activated(4)
    assert set(ledger.pointers()) == {"brand", "part-class"}
    pointer = ledger.pointer("brand")
    assert pointer is not None
    decided = "release exec-4, decided in git by ann"
    assert (pointer.changed_by, pointer.reason) == ("pipeline", decided)
    assert ledger.pointers()["part-class"].reason == "release exec-1"
