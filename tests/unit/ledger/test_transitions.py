"""What must hold of the ledger after any order of changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prompt_hub.ledger.errors import LedgerConflictError, TransitionRefusedError
from prompt_hub.ledger.items import (
    Notify,
    Pointer,
    VersionRef,
    VersionState,
)
from prompt_hub.ledger.table import Ledger
from tests.unit.ledger.causes import RELEASE, cause, reference
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on


@pytest.fixture
def table() -> FakeDynamoDB:
    return FakeDynamoDB()


@pytest.fixture
def ledger(table: FakeDynamoDB) -> Ledger:
    return ledger_on(table)


def seeded(ledger: Ledger, task: str = "part-class") -> Pointer:
    ledger.seed(
        task, reference("1.1.0"), previous=reference("1.0.0"), release=RELEASE, cause=cause()
    )
    pointer = ledger.pointer(task)
    assert pointer is not None
    return pointer


def test_a_rollback_quarantines_returns_and_leaves_no_way_back(ledger: Ledger) -> None:
    pointer = seeded(ledger)

    event = ledger.roll_back("part-class", seen=pointer.revision, cause=cause(1))

    after = ledger.pointer("part-class")
    assert after is not None
    assert (after.version, after.previous) == ("1.0.0", None)
    assert ledger.version_states("part-class") == {
        "1.0.0": VersionState.ACTIVE,
        "1.1.0": VersionState.QUARANTINED,
    }
    assert event.notify is Notify.PENDING
    with pytest.raises(TransitionRefusedError, match="no version to go back to"):
        ledger.roll_back("part-class", seen=after.revision, cause=cause(2))


def test_a_quarantined_version_comes_back_only_by_override_and_then_stays(ledger: Ledger) -> None:
    pointer = seeded(ledger)
    event = ledger.roll_back("part-class", seen=pointer.revision, cause=cause(1))

    with pytest.raises(TransitionRefusedError, match=r"1\.1\.0 of part-class is quarantined since"):
        ledger.activate(
            "part-class",
            reference("1.1.0"),
            seen=event.revision,
            release=RELEASE,
            cause=cause(2),
        )
    ledger.activate(
        "part-class",
        reference("1.1.0"),
        seen=event.revision,
        release=RELEASE,
        cause=cause(3),
        override=True,
    )
    after = ledger.pointer("part-class")
    assert after is not None
    assert (after.version, after.previous) == ("1.1.0", None)


def test_a_retired_task_is_seeded_anew_and_what_was_told_of_it_before_is_not_lost(
    ledger: Ledger,
) -> None:
    pointer = seeded(ledger)
    page = ledger.page("part-class", seen=pointer.revision, cause=cause(1))
    event = ledger.retire("part-class", seen=pointer.revision, release=RELEASE, cause=cause(2))
    assert (event.left, event.reached) == (pointer.active, pointer.active)
    assert ledger.pointers() == {}
    assert list(ledger.retired()) == ["part-class"]
    assert ledger.pending_events() == (page,)
    with pytest.raises(LedgerConflictError):
        ledger.retire("part-class", seen=event.revision, release=RELEASE, cause=cause(3))

    again = ledger.seed(
        "part-class", reference("1.1.0"), previous=None, release=RELEASE, cause=cause(4)
    )
    assert again.left is None
    assert ledger.retired() == {}
    assert ledger.version_states("part-class")["1.1.0"] is VersionState.ACTIVE


def test_what_was_taken_out_of_a_task_that_is_retired_comes_back_by_override(
    ledger: Ledger,
) -> None:
    pointer = seeded(ledger)
    event = ledger.roll_back("part-class", seen=pointer.revision, cause=cause(1))
    ledger.retire("part-class", seen=event.revision, release=RELEASE, cause=cause(2))

    def activate(to: VersionRef, override: bool = True) -> None:
        ledger.activate(
            "part-class", to, seen=None, release=RELEASE, cause=cause(3), override=override
        )

    with pytest.raises(TransitionRefusedError, match="no version of part-class is active"):
        activate(reference("1.1.0"), override=False)
    with pytest.raises(TransitionRefusedError, match="never changes its content"):
        activate(VersionRef(version="1.1.0", sha256="another"))
    activate(reference("1.1.0"))
    after = ledger.pointer("part-class")
    assert after is not None
    assert (after.version, after.previous, after.frozen) == ("1.1.0", None, False)
    assert ledger.version_states("part-class") == {
        "1.0.0": VersionState.RETIRED,
        "1.1.0": VersionState.ACTIVE,
    }
    assert ledger.events("part-class")[0].left is None
    with pytest.raises(LedgerConflictError):
        activate(reference("1.0.0"))


def test_a_freeze_outlasts_moves_with_the_name_of_who_made_it(ledger: Ledger) -> None:
    pointer = seeded(ledger)
    by_bob = replace(cause(1), by="bob", reason="an audit")
    event = ledger.freeze("part-class", seen=pointer.revision, cause=by_bob)
    assert not event.stays_frozen
    event = ledger.roll_back("part-class", seen=event.revision, cause=cause(2))
    assert event.stays_frozen
    event = ledger.activate(
        "part-class",
        reference("1.1.0"),
        seen=event.revision,
        release=RELEASE,
        cause=cause(3),
        override=True,
    )
    assert ledger.events("part-class")[0] == event
    assert event.stays_frozen
    frozen = ledger.pointer("part-class")
    assert frozen is not None
    assert (frozen.changed_by, frozen.freeze_in_words) == ("ann", "frozen by bob: an audit")
    event = ledger.unfreeze("part-class", seen=event.revision, cause=cause(4))
    free = ledger.pointer("part-class")
    assert free is not None
    assert (event.stays_frozen, free.frozen_by, free.frozen_reason) == (False, "", "")


def test_a_frozen_task_is_not_retired(ledger: Ledger) -> None:
    pointer = seeded(ledger)
    frozen = ledger.freeze("part-class", seen=pointer.revision, cause=cause(1))
    with pytest.raises(TransitionRefusedError, match="frozen by ann"):
        ledger.retire("part-class", seen=frozen.revision, release=RELEASE, cause=cause(2))


def test_another_tasks_change_in_between_only_means_another_try(
    table: FakeDynamoDB, ledger: Ledger
) -> None:
    pointer = seeded(ledger)
    other = ledger_on(table)
    table.before_write = lambda: seeded(other, "brand")

    event = ledger.roll_back("part-class", seen=pointer.revision, cause=cause(1))

    assert event.revision == 3
    assert [event.revision for event in ledger.events("brand")] == [2]


def test_the_same_tasks_change_in_between_is_a_conflict(
    table: FakeDynamoDB, ledger: Ledger
) -> None:
    pointer = seeded(ledger)
    other = ledger_on(table)
    table.before_write = lambda: other.freeze("part-class", seen=pointer.revision, cause=cause(1))

    with pytest.raises(LedgerConflictError, match="at revision 2, not 1"):
        ledger.roll_back("part-class", seen=pointer.revision, cause=cause(1))
    assert ledger.revision() == 2


def test_a_version_never_changes_its_content(ledger: Ledger) -> None:
    pointer = seeded(ledger)
    with pytest.raises(TransitionRefusedError, match="never changes its content"):
        ledger.activate(
            "part-class",
            VersionRef(version="1.0.0", sha256="another"),
            seen=pointer.revision,
            release=RELEASE,
            cause=cause(1),
            override=True,
        )


@pytest.mark.parametrize("nobody", ["", "  ", "pipeline", "rollback", "drill", "rollback (dev)"])
def test_an_override_without_a_persons_name_is_refused(ledger: Ledger, nobody: str) -> None:
    pointer = seeded(ledger)
    with pytest.raises(TransitionRefusedError, match="needs a person"):
        ledger.activate(
            "part-class",
            reference("1.0.0"),
            seen=pointer.revision,
            release=RELEASE,
            cause=replace(cause(1), by=nobody),
            override=True,
        )
