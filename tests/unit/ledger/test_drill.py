"""What a rollback drill changes in a ledger, and that it is all put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from prompt_hub.core.aws_names import DRILL_TASK
from prompt_hub.ledger import transitions
from prompt_hub.ledger.drill import DrillLedger
from prompt_hub.ledger.errors import LedgerConflictError, TransitionRefusedError
from prompt_hub.ledger.items import EventKind, Notify, VersionState
from tests.unit.ledger.causes import RELEASE, cause, reference
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BAD, GOOD = reference("2.0.0"), reference("1.0.0")


def ledger_on(table: FakeDynamoDB) -> DrillLedger:
    return DrillLedger(cast("DynamoDBClient", table), "ledger")


@pytest.fixture
def table() -> FakeDynamoDB:
    return FakeDynamoDB()


@pytest.fixture
def ledger(table: FakeDynamoDB) -> DrillLedger:
    return ledger_on(table)


def begin(ledger: DrillLedger, minute: int = 0) -> int:
    return ledger.begin(bad=BAD, good=GOOD, release=RELEASE, cause=cause(minute)).revision


@pytest.mark.parametrize("rolled_back", [True, False], ids=["after a rollback", "broken off"])
def test_everything_is_put_back_and_the_next_drill_can_begin(
    ledger: DrillLedger, rolled_back: bool
) -> None:
    for number in range(3):
        revision = begin(ledger, 3 * number)
        if rolled_back:
            ledger.roll_back(DRILL_TASK, seen=revision, cause=cause(3 * number + 1))
            assert ledger.version_states(DRILL_TASK)["2.0.0"] is VersionState.QUARANTINED
        assert ledger.put_back(cause(3 * number + 2))
        assert ledger.pointer(DRILL_TASK) is None
        assert set(ledger.version_states(DRILL_TASK).values()) == {VersionState.RELEASED}
        assert not ledger.put_back(cause(3 * number + 2)), "there is nothing more to put back"


@pytest.mark.parametrize("rolled_back", [True, False], ids=["rolled back", "put back"])
def test_what_comes_between_is_put_back_as_well(table: FakeDynamoDB, rolled_back: bool) -> None:
    """A drill that was killed leaves a stage that may take the bad version back at any moment."""
    ledger, other = ledger_on(table), ledger_on(table)
    revision = begin(ledger)

    def between() -> None:
        if rolled_back:
            other.roll_back(DRILL_TASK, seen=revision, cause=cause(1))
        else:
            assert other.put_back(cause(1))

    table.before_write = between

    assert ledger.put_back(cause(2)) is rolled_back
    assert table.before_write is None
    assert ledger.pointer(DRILL_TASK) is None
    assert set(ledger.version_states(DRILL_TASK).values()) == {VersionState.RELEASED}


def test_a_drill_is_no_news(ledger: DrillLedger) -> None:
    """Neither people nor what writes rollbacks into git may hear of one."""
    ledger.roll_back(DRILL_TASK, seen=begin(ledger), cause=cause(1))
    ledger.put_back(cause(2))
    kinds = [EventKind.RETIRED, EventKind.ROLLED_BACK, EventKind.SEEDED]
    assert [event.kind for event in ledger.events(DRILL_TASK)] == kinds
    assert {event.notify for event in ledger.events(DRILL_TASK)} == {Notify.NOT_NEEDED}


def test_a_second_drill_is_refused_while_one_goes_on(ledger: DrillLedger) -> None:
    begin(ledger)
    with pytest.raises(LedgerConflictError, match="is at revision 1, not None"):
        begin(ledger, 1)


def test_a_task_of_people_s_is_never_put_back(ledger: DrillLedger) -> None:
    ledger.seed("part-class", BAD, previous=GOOD, release=RELEASE, cause=cause())
    with pytest.raises(TransitionRefusedError, match="a task of people"):
        transitions.put_back(ledger.state("part-class"), cause=cause(1))
