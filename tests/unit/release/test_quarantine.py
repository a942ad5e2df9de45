"""What did harm is neither served nor seeded, whatever a stage's ledger has forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRecord, VersionRef, timestamp
from prompt_hub.ledger.items import VersionState as State
from prompt_hub.promotion.states import Decision
from prompt_hub.promotion.transitions import archive, downgrade, quarantine
from prompt_hub.promotion.write_back import StageWord
from prompt_hub.release.manifest import (
    CarriedTask,
    CarriedVersion,
    Quarantine,
    Release,
    build_manifest,
)
from prompt_hub.release.plan import Move, Retire, Seed, Skip, StageState, Step, plan
from prompt_hub.repository.registry import RegisteredModel, VersionState
from prompt_hub.repository.transaction import apply
from tests.unit.building import RepositoryFolder

TASK = "part-class"
NINE = datetime(2026, 11, 3, 9, tzinfo=UTC)
PINNED = RegisteredModel(alias="catalogue-pinned", identity="openai:small")
ADA = Decision("Ada", "it names wrong classes")


def version(
    number: str, state: VersionState, hours: float = 0, by: str | None = None
) -> CarriedVersion:
    return CarriedVersion(
        version=number,
        sha256=number.replace(".", "").ljust(64, "0"),
        state=state,
        threshold=0.8,
        score=0.9,
        model=PINNED,
        decided_at=NINE + timedelta(hours=hours),
        decided_by=by,
    )


OLD = version("1.0.0", VersionState.SUPERSEDED)
NEW = version("1.1.0", VersionState.RELEASED, hours=1)


def harm(*versions: CarriedVersion) -> dict[str, dict[str, Quarantine]]:
    told = {"by": "rollback (first)", "reason": "it scored 0.4", "at": NINE}
    return {TASK: {v.version: Quarantine(sha256=v.sha256, **told) for v in versions}}


def release(*versions: CarriedVersion, champion: str | None = "1.1.0", hours: float = 2) -> Release:
    return Release(
        schema_="prompt-hub/release@1",
        release="exec-2",
        commit="c0ffee",
        made_at=NINE + timedelta(hours=hours),
        tasks={TASK: CarriedTask(champion=champion, versions=versions or (NEW, OLD))},
    )


def with_harm(*versions: CarriedVersion, of: Release | None = None) -> Release:
    return (of or release()).model_copy(update={"quarantined": harm(*versions)})


EMPTY = StageState(
    pointers={}, retired={}, versions={}, models={"catalogue-pinned": "openai:small"}
)


def record(carried: CarriedVersion, state: State, by: str, hours: float = 0) -> VersionRecord:
    return VersionRecord(
        task=TASK,
        version=carried.version,
        sha256=carried.sha256,
        state=state,
        by=by,
        reason="customers see wrong classes",
        at=timestamp(NINE + timedelta(hours=hours)),
    )


def stage(active: CarriedVersion, *records: VersionRecord) -> StageState:
    pointer = Pointer(
        task=TASK,
        active=active.reference,
        previous=None,
        frozen=False,
        revision=5,
        changed_by="pipeline",
        reason="release exec-1",
        at=timestamp(NINE),
        release=ReleaseRef(release="exec-1", made_at=timestamp(NINE)),
    )
    versions = {TASK: {found.version: found for found in records}}
    return replace(EMPTY, pointers={TASK: pointer}, versions=versions)


def step(wanted: Release, here: StageState) -> Step:
    (only,) = plan(wanted, here)
    return only


def test_an_empty_or_new_ledger_is_not_seeded_with_what_did_harm() -> None:
    skipped = step(with_harm(NEW), EMPTY)
    assert isinstance(skipped, Skip)
    assert skipped.code == "quarantined-in-release"
    assert "1.1.0 is quarantined by rollback (first)" in skipped.reason


def test_its_content_is_not_seeded_under_another_number_either() -> None:
    again = NEW.model_copy(update={"version": "1.2.0"})
    skipped = step(with_harm(NEW, of=release(again, OLD, champion="1.2.0")), EMPTY)
    assert isinstance(skipped, Skip)
    assert skipped.code == "quarantined-in-release"


def test_a_person_who_released_its_content_by_name_since_is_followed() -> None:
    by_name = NEW.model_copy(update={"version": "1.2.0", "decided_by": "Ada"})
    wanted = with_harm(NEW, of=release(by_name, OLD, champion="1.2.0"))
    assert isinstance(step(wanted, EMPTY), Seed)
    assert wanted.snapshot()[TASK].version == "1.2.0"
    for other in ({"decided_by": "rollback (second)"}, {"decided_at": NINE}):
        before = by_name.model_copy(update=other)
        skipped = step(with_harm(NEW, of=release(before, OLD, champion="1.2.0")), EMPTY)
        assert isinstance(skipped, Skip)


def test_a_move_in_git_alone_lifts_no_stages_own_quarantine_and_reaches_no_later_stage() -> None:
    """The registry is not sealed: in the stage a person must name themselves as well."""
    by_name = version("1.1.0", VersionState.RELEASED, hours=48, by="Ada")
    wanted = release(by_name, OLD, hours=49)
    quarantined = record(NEW, State.QUARANTINED, "rollback", hours=24)
    skipped = step(wanted, stage(OLD, quarantined, record(OLD, State.ACTIVE, "rollback", 24)))
    assert isinstance(skipped, Skip)
    assert (skipped.code, "only a named override" in skipped.reason) == ("quarantined", True)
    later = replace(stage(OLD), earlier={"dev": {TASK: {"1.1.0": quarantined}}})
    skipped = step(wanted, later)
    assert isinstance(skipped, Skip)
    assert skipped.code == "taken-out-earlier"
    # In the stage by name: that stage has it, and a later one follows with the release.
    undone = replace(quarantined, state=State.ACTIVE, by="Ada", at=timestamp(NINE))
    later = replace(later, earlier={"dev": {TASK: {"1.1.0": undone}}})
    assert isinstance(step(wanted, later), Move)


def test_what_did_harm_is_no_way_back_of_a_seed() -> None:
    seeded = step(with_harm(OLD), EMPTY)
    assert seeded == Seed(task=TASK, to=NEW.reference, previous=None)


def test_what_did_harm_in_another_stage_is_no_way_back_of_a_move() -> None:
    """A later stage rolled 1.0.0 back after Promote had released 1.1.0: git does not know yet."""
    moved = step(with_harm(OLD), stage(OLD, record(OLD, State.ACTIVE, "pipeline")))
    assert isinstance(moved, Move)
    assert moved.no_way_back is not None
    assert moved.no_way_back.code == "way-back-taken-out"
    assert "1.0.0 is quarantined by rollback (first)" in moved.no_way_back.reason


def test_a_restored_ledger_that_points_to_harm_is_moved_to_what_git_has_released() -> None:
    """Recovered to before the rollback: 1.1.0 is active again, and git knows better."""
    taken = version("1.1.0", VersionState.QUARANTINED, hours=1, by="rollback (dev)")
    back = version("1.0.0", VersionState.RELEASED, hours=1, by="rollback (dev)")
    wanted = with_harm(taken, of=release(back, taken, champion="1.0.0"))
    moved = step(wanted, stage(taken, record(taken, State.ACTIVE, "pipeline")))
    assert isinstance(moved, Move)
    assert (moved.to, moved.left) == (back.reference, taken.reference)
    assert moved.no_way_back is not None


@pytest.mark.parametrize(
    ("decided", "by", "moves"),
    [
        (9, None, False),
        (9, "Grace", True),
        (2, "Grace", False),
        (9, "rollback (first)", False),
    ],
    ids=[
        "an edited or measured at",
        "a person in git, later",
        "a person in git, earlier",
        "a rollback to it in another stage",
    ],
)
def test_a_persons_choice_stands_until_somebody_decides_anew_by_name(
    decided: float, by: str | None, moves: bool
) -> None:
    wanted = release(version("1.1.0", VersionState.RELEASED, decided, by), OLD, hours=10)
    chosen = record(OLD, State.ACTIVE, "Ada", hours=3)
    left = record(NEW, State.SUPERSEDED, "Ada", hours=3)
    found = step(wanted, stage(OLD, chosen, left))
    assert isinstance(found, Move) is moves
    if isinstance(found, Skip):
        assert found.code == "moved-since"
        assert "Ada chose 1.0.0 by hand" in found.reason


def test_a_version_that_waited_does_not_undo_what_a_person_chose_meanwhile() -> None:
    """The alias was another model's here; now that it is not, the choice still stands."""
    chosen = record(OLD, State.ACTIVE, "Ada", hours=3)
    found = step(release(), stage(OLD, chosen, record(NEW, State.RELEASED, "pipeline")))
    assert isinstance(found, Skip)
    assert found.code == "moved-since"


def test_archiving_what_a_stage_had_rolled_back_keeps_its_way_back() -> None:
    archived = version("1.1.0", VersionState.ARCHIVED, hours=2, by="Ada")
    good = record(OLD, State.ACTIVE, "rollback")
    bad = record(archived, State.QUARANTINED, "rollback")
    kept = step(release(archived, OLD, champion=None, hours=3), stage(OLD, good, bad))
    assert isinstance(kept, Skip)
    assert kept.code == "archived-after-rollback"
    both = version("1.0.0", VersionState.ARCHIVED, hours=4, by="Ada")
    gone = step(release(archived, both, champion=None, hours=5), stage(both, good, bad))
    assert gone == Retire(task=TASK, left=OLD.reference, seen=5)


def test_an_older_version_is_archived_by_its_number(healthy: RepositoryFolder) -> None:
    tree = healthy.repository
    later = NINE + timedelta(days=30)
    apply(healthy.root, archive(tree, TASK, ADA, later, version="1.0.0"))
    task = tree.registry().tasks[TASK]
    assert task.versions["1.0.0"].state is VersionState.ARCHIVED
    assert task.released == "1.1.0"
    assert healthy.errors() == []


# --- The image -----------------------------------------------------------------------------------


def manifest(folder: RepositoryFolder, *words: StageWord) -> Release:
    return build_manifest(
        folder.repository, release="e", commit="c", made_at=NINE + timedelta(days=30), words=words
    )


def rolled_back(folder: RepositoryFolder, number: str, at: datetime) -> StageWord:
    entry = folder.repository.registry().tasks[TASK].versions[number]
    return StageWord(
        stage="first",
        task=TASK,
        version=VersionRef(version=number, sha256=entry.sha256),
        quarantined=True,
        by="rollback",
        reason="it scored 0.4",
        at=timestamp(at),
    )


def test_an_image_names_what_git_has_quarantined(healthy: RepositoryFolder) -> None:
    later = NINE + timedelta(days=29)
    tree = healthy.repository
    apply(healthy.root, quarantine(tree, TASK, "1.1.0", ADA, later, successor="1.0.0"))
    made = manifest(healthy)
    assert list(made.quarantined[TASK]) == ["1.1.0"]
    assert made.quarantined[TASK]["1.1.0"].by == "Ada"
    assert made.snapshot()[TASK].version == "1.0.0"


def test_a_container_without_a_ledger_serves_the_way_back_of_what_a_stage_rolled_back(
    healthy: RepositoryFolder,
) -> None:
    """Until git knows: the champion is still 1.1.0, and the ledger that says otherwise is away."""
    assert manifest(healthy).snapshot()[TASK].version == "1.1.0"
    made = manifest(healthy, rolled_back(healthy, "1.1.0", NINE + timedelta(days=29)))
    assert made.tasks[TASK].champion == "1.1.0"
    assert made.snapshot()[TASK].version == "1.0.0"
    both = manifest(
        healthy,
        *(rolled_back(healthy, number, NINE + timedelta(days=29)) for number in ("1.1.0", "1.0.0")),
    )
    assert TASK not in both.snapshot()
    assert "brand" in both.snapshot()


def test_a_person_who_takes_out_what_did_harm_has_not_lifted_its_quarantine(
    healthy: RepositoryFolder,
) -> None:
    """The same words under a new number would come back otherwise."""
    word = rolled_back(healthy, "1.1.0", NINE + timedelta(days=20))
    later = NINE + timedelta(days=29)
    apply(healthy.root, downgrade(healthy.repository, TASK, "1.0.0", ADA, later))
    assert list(manifest(healthy, word).quarantined[TASK]) == ["1.1.0"]


def test_a_manifest_of_before_knows_of_no_quarantine(healthy: RepositoryFolder) -> None:
    text = manifest(healthy).model_dump(mode="json", by_alias=True, exclude={"quarantined"})
    assert Release.model_validate(text).quarantined == {}
