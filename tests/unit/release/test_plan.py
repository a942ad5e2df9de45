"""Which pointers a release moves, and every reason why it moves none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRecord, timestamp
from prompt_hub.ledger.items import VersionState as State
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.manifest import CarriedTask, CarriedVersion, Release
from prompt_hub.release.plan import Move, NoWayBack, Retire, Seed, Skip, StageState, Step, plan
from prompt_hub.repository.registry import RegisteredModel, VersionState
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

NINE = datetime(2026, 11, 3, 9, tzinfo=UTC)
PINNED = RegisteredModel(alias="catalogue-pinned", identity="openai:small")


def version(number: str, state: VersionState, hours: float = 0) -> CarriedVersion:
    return CarriedVersion(
        version=number,
        sha256=number.replace(".", "").ljust(64, "0"),
        state=state,
        threshold=0.8,
        score=0.9,
        model=PINNED,
        decided_at=NINE + timedelta(hours=hours),
    )


OLD = version("1.0.0", VersionState.SUPERSEDED)
NEW = version("1.1.0", VersionState.RELEASED, hours=1)


def release(
    *versions: CarriedVersion,
    champion: str | None = "1.1.0",
    hours: float = 1,
) -> Release:
    return Release(
        schema_="prompt-hub/release@1",
        release="exec-2",
        commit="c0ffee",
        made_at=NINE + timedelta(hours=hours, minutes=1),
        tasks={"part-class": CarriedTask(champion=champion, versions=versions or (NEW, OLD))},
    )


def pointer(active: CarriedVersion = OLD, made_hours: float = 0) -> Pointer:
    made_at = timestamp(NINE + timedelta(hours=made_hours, minutes=1))
    return Pointer(
        task="part-class",
        active=active.reference,
        previous=None,
        frozen=False,
        revision=5,
        changed_by="pipeline",
        reason="release exec-1",
        at=made_at,
        release=ReleaseRef(release="exec-1", made_at=made_at),
    )


def record(carried: CarriedVersion, state: State) -> VersionRecord:
    return VersionRecord(
        task="part-class",
        version=carried.version,
        sha256=carried.sha256,
        state=state,
        by="rollback",
        reason="it scored 0.4",
        at="2026-11-03T10:30:00Z",
    )


STAGE = StageState(
    pointers={"part-class": pointer()},
    retired={},
    versions={"part-class": {"1.0.0": record(OLD, State.ACTIVE)}},
    models={"catalogue-pinned": "openai:small"},
)


def step(wanted: Release, stage: StageState = STAGE) -> Step:
    (only,) = plan(wanted, stage)
    return only


def test_a_newly_released_version_is_activated_and_the_one_it_leaves_is_the_way_back() -> None:
    assert step(release()) == Move(
        task="part-class",
        to=NEW.reference,
        left=OLD.reference,
        seen=5,
        no_way_back=None,
    )


def test_an_empty_ledger_is_seeded_with_the_newest_superseded_version_as_way_back() -> None:
    oldest = version("0.9.0", VersionState.SUPERSEDED)
    wanted = release(NEW, OLD, oldest)
    empty = replace(STAGE, pointers={}, versions={})
    assert step(wanted, empty) == Seed(task="part-class", to=NEW.reference, previous=OLD.reference)


@pytest.mark.parametrize(
    "archived",
    [
        version("1.0.0", VersionState.DOWNGRADED),
        version("1.0.0", VersionState.ARCHIVED),
        version("2.0.0", VersionState.SUPERSEDED),
    ],
    ids=["downgraded", "archived", "newer than the champion"],
)
def test_not_every_archived_version_is_a_way_back(archived: CarriedVersion) -> None:
    seeded = step(release(NEW, archived), replace(STAGE, pointers={}, versions={}))
    assert seeded == Seed(task="part-class", to=NEW.reference, previous=None)


def test_a_way_back_that_was_taken_out_here_is_none() -> None:
    stage = replace(
        STAGE,
        pointers={},
        versions={"part-class": {"1.0.0": record(OLD, State.QUARANTINED)}},
    )
    assert step(release(), stage) == Seed(task="part-class", to=NEW.reference, previous=None)


def test_who_froze_a_task_is_named_whoever_has_moved_it_since() -> None:
    ledger = ledger_on(FakeDynamoDB())

    def cause(by: str, reason: str) -> Cause:
        return Cause(by=by, reason=reason, at=timestamp(NINE))

    made = ReleaseRef(release="exec-1", made_at=timestamp(NINE))
    fallen = version("1.0.1", VersionState.SUPERSEDED)
    ledger.seed(
        "part-class",
        fallen.reference,
        previous=OLD.reference,
        release=made,
        cause=cause("pipeline", "first"),
    )
    ledger.freeze("part-class", seen=1, cause=cause("Ann", "supplier audit"))
    ledger.roll_back("part-class", seen=2, cause=cause("rollback", "1.0.1 has fallen"))
    frozen = step(release(), replace(STAGE, pointers=ledger.pointers()))
    assert isinstance(frozen, Skip)
    assert (frozen.code, frozen.reason) == ("frozen", "it is frozen by Ann: supplier audit")
    # An item of an older release does not say it: whoever moved it last may be another.
    written = replace(pointer(), frozen=True)
    frozen = step(release(), replace(STAGE, pointers={"part-class": written}))
    assert isinstance(frozen, Skip)
    assert frozen.reason == "it is frozen; `prompt-hub ledger show` says by whom"


@pytest.mark.parametrize(
    ("wanted", "change", "code"),
    [
        (release(OLD, champion=None), {"pointers": {}}, "nothing-released"),
        (
            release(OLD, champion=None),
            {"pointers": {"part-class": replace(pointer(), frozen=True)}},
            "frozen",
        ),
        (release(OLD, champion=None, hours=-5), {}, "older-release"),
        (
            release(),
            {
                "pointers": {},
                "retired": {"part-class": replace(pointer(NEW, made_hours=2), retired=True)},
            },
            "older-release",
        ),
        (release(), {"pointers": {"part-class": pointer(NEW, 1)}}, "active-already"),
        (
            release(),
            {"versions": {"part-class": {"1.1.0": record(NEW, State.QUARANTINED)}}},
            "quarantined",
        ),
        (
            release(),
            {
                "versions": {"part-class": {"1.1.0": record(NEW, State.QUARANTINED)}},
                "pointers": {},
            },
            "quarantined",
        ),
        (
            release(),
            {"versions": {"part-class": {"1.1.0": record(NEW, State.DOWNGRADED)}}},
            "downgraded",
        ),
        (release(), {"models": {"catalogue-pinned": "bedrock:other"}}, "other-model"),
        (release(), {"models": {}}, "other-model"),
        (release(), {"models": {}, "pointers": {}}, "other-model"),
        (
            release(),
            {"pointers": {"part-class": replace(pointer(), frozen=True)}},
            "frozen",
        ),
        (release(hours=-5), {}, "older-release"),
        (release(), {"pointers": {"part-class": pointer(OLD, made_hours=1)}}, "moved-since"),
    ],
)
def test_a_task_is_left_alone_for_a_reason(
    wanted: Release, change: dict[str, object], code: str
) -> None:
    left_alone = step(wanted, replace(STAGE, **change))  # type: ignore[arg-type]
    assert isinstance(left_alone, Skip)
    assert left_alone.code == code
    assert left_alone.reason


ARCHIVED = version("1.0.0", VersionState.ARCHIVED, hours=1)


@pytest.mark.parametrize(
    "wanted",
    [release(ARCHIVED, champion=None), release().model_copy(update={"tasks": {}})],
    ids=["nothing is released", "git does not know the task"],
)
def test_what_git_has_nothing_released_for_is_retired(wanted: Release) -> None:
    assert step(wanted) == Retire(task="part-class", left=OLD.reference, seen=5)


def test_a_retired_task_is_seeded_when_git_releases_it_again() -> None:
    restored = version("1.0.0", VersionState.RELEASED, hours=2)
    parked = replace(pointer(made_hours=1), retired=True)
    stage = replace(
        STAGE,
        pointers={},
        retired={"part-class": parked},
        versions={"part-class": {"1.0.0": record(OLD, State.RETIRED)}},
    )
    seeded = step(release(restored, champion="1.0.0", hours=2), stage)
    assert seeded == Seed(task="part-class", to=restored.reference, previous=None)


EARLIER = replace(record(OLD, State.RETIRED), sha256="f" * 64)
"""The 1.0.0 of a task that was removed; a task of its name has another 1.0.0 since."""


@pytest.mark.parametrize("state", [State.RETIRED, State.QUARANTINED])
@pytest.mark.parametrize("retired", [True, False])
def test_a_number_that_is_known_here_with_other_content_is_left_alone(
    state: State, retired: bool
) -> None:
    again = version("1.0.0", VersionState.RELEASED, hours=2)
    other = version("0.9.0", VersionState.RELEASED)
    stage = replace(
        STAGE,
        pointers={} if retired else {"part-class": pointer(other)},
        retired={"part-class": replace(pointer(), retired=True)} if retired else {},
        versions={"part-class": {"1.0.0": replace(EARLIER, state=state)}},
    )
    skip = step(release(again, champion="1.0.0", hours=2), stage)
    assert isinstance(skip, Skip)
    assert skip.code == "other-content"
    assert "under a number that this stage has not had" in skip.reason


def test_a_way_back_that_is_known_here_with_other_content_is_none() -> None:
    stage = replace(STAGE, pointers={}, versions={"part-class": {"1.0.0": EARLIER}})
    assert step(release(), stage) == Seed(task="part-class", to=NEW.reference, previous=None)


def test_a_fix_that_an_earlier_execution_promoted_is_activated_by_the_next_one() -> None:
    """Its own execution never reached this stage, where the version before it scores badly."""
    fix = version("1.2.0", VersionState.RELEASED, hours=7)
    bad = version("1.1.0", VersionState.SUPERSEDED, hours=1)
    stage = replace(STAGE, pointers={"part-class": pointer(NEW, made_hours=1)})
    moved = step(release(fix, bad, champion="1.2.0", hours=9), stage)
    assert isinstance(moved, Move)
    assert moved.to == fix.reference


def test_what_git_took_out_is_left_for_an_older_version_and_is_no_way_back() -> None:
    back = version("1.0.0", VersionState.RELEASED, hours=2)
    taken_out = version("1.1.0", VersionState.DOWNGRADED, hours=2)
    wanted = release(back, taken_out, champion="1.0.0", hours=2)
    stage = replace(STAGE, pointers={"part-class": pointer(NEW, made_hours=1)})
    moved = step(wanted, stage)
    assert isinstance(moved, Move)
    assert moved.no_way_back == NoWayBack(
        code="way-back-taken-out", reason="git has 1.1.0 downgraded"
    )


@pytest.mark.parametrize(("by", "moves"), [("pipeline", True), ("rollback", False)])
def test_what_a_release_brought_is_left_for_what_git_decided_before_it_and_merged_after_it(
    by: str, moves: bool
) -> None:
    """A person took 1.1.0 out at 11; the release of 12 did not know, and 1.1.0 came in here."""
    back = version("1.0.0", VersionState.RELEASED, hours=2)
    taken_out = version("1.1.0", VersionState.DOWNGRADED, hours=2)
    wanted = release(back, taken_out, champion="1.0.0", hours=4)
    stage = replace(
        STAGE,
        pointers={"part-class": pointer(NEW, made_hours=3)},
        versions={"part-class": {"1.1.0": replace(record(NEW, State.ACTIVE), by=by)}},
    )
    found = step(wanted, stage)
    assert isinstance(found, Move) is moves
    if isinstance(found, Move):
        assert found.to == back.reference
        assert found.no_way_back is not None


def test_what_the_image_does_not_carry_is_no_way_back() -> None:
    moved = step(release(NEW))
    assert isinstance(moved, Move)
    assert moved.no_way_back == NoWayBack(
        code="way-back-not-carried", reason="the image does not carry 1.0.0"
    )


def test_a_rollback_is_not_undone_by_the_next_release_of_another_task() -> None:
    """The champion in git is still 1.1.0; the ledger went back to 1.0.0 and quarantined it."""
    rolled_back = replace(
        STAGE,
        pointers={"part-class": replace(pointer(OLD, made_hours=1), revision=9)},
        versions={
            "part-class": {
                "1.0.0": record(OLD, State.ACTIVE),
                "1.1.0": record(NEW, State.QUARANTINED),
            }
        },
    )
    left_alone = step(release(hours=6), rolled_back)
    assert isinstance(left_alone, Skip)
    assert left_alone.code == "quarantined"
    assert "2026-11-03T10:30:00Z by rollback (it scored 0.4)" in left_alone.reason

    fixed = version("1.2.0", VersionState.RELEASED, hours=7)
    repaired = version("1.1.0", VersionState.SUPERSEDED, hours=1)
    moved = step(release(fixed, repaired, OLD, champion="1.2.0", hours=7), rolled_back)
    assert isinstance(moved, Move)
    assert moved.to == fixed.reference


BY_DEV = {"dev": {"part-class": {"1.1.0": record(NEW, State.QUARANTINED)}}}


@pytest.mark.parametrize("pointers", [STAGE.pointers, {}], ids=["moves", "is new here"])
@pytest.mark.parametrize("state", [State.QUARANTINED, State.DOWNGRADED])
def test_what_an_earlier_stage_has_taken_out_is_left_out(
    state: State, pointers: dict[str, Pointer]
) -> None:
    earlier = {"dev": {"part-class": {"1.1.0": record(NEW, state)}}, "qa": {}}
    skip = step(release(), replace(STAGE, pointers=pointers, earlier=earlier))
    assert isinstance(skip, Skip)
    assert skip.code == "taken-out-earlier"
    assert skip.reason.startswith(f"stage dev has 1.1.0 {state.value} since 2026-11-03T10:30:00Z")


def test_an_earlier_stage_takes_out_only_what_it_has_taken_out() -> None:
    moved = step(release())
    other = record(version("1.1.0", VersionState.RELEASED), State.QUARANTINED)
    for entry in (
        record(NEW, State.ACTIVE),
        record(NEW, State.SUPERSEDED),
        replace(other, sha256="f" * 64),
    ):
        earlier = {"dev": {"part-class": {"1.1.0": entry}}}
        assert step(release(), replace(STAGE, earlier=earlier)) == moved


def test_what_is_active_here_already_stays_and_that_is_said() -> None:
    here = {"part-class": pointer(NEW, 1)}
    skip = step(release(), replace(STAGE, pointers=here, earlier=BY_DEV))
    assert isinstance(skip, Skip)
    assert skip.code == "active-already"
    assert "1.1.0 is active already, although stage dev has 1.1.0 quarantined" in skip.reason


def test_a_version_that_an_earlier_stage_has_taken_out_is_no_way_back() -> None:
    earlier = {"dev": {"part-class": {"1.0.0": record(OLD, State.QUARANTINED)}}}
    move = step(release(), replace(STAGE, earlier=earlier))
    assert isinstance(move, Move)
    assert move.no_way_back is not None
    assert move.no_way_back.code == "way-back-taken-out"
    assert move.no_way_back.reason.startswith("stage dev has 1.0.0 quarantined since")
    seed = step(release(), replace(STAGE, pointers={}, versions={}, earlier=earlier))
    assert seed == Seed(task="part-class", to=NEW.reference, previous=None)
