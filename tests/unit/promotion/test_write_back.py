"""What Promote takes over from the ledgers: rollbacks, and what a person said after them."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.results import RESULTS_DIR
from prompt_hub.ledger.items import ReleaseRef, timestamp
from prompt_hub.promotion.states import Decision
from prompt_hub.promotion.transitions import archive, downgrade
from prompt_hub.repository.registry import VersionState
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.check import check
from tests.unit.promotion.checkouts import World, copied, git
from tests.unit.promotion.rolled_back import BAD, GOOD, TASK, Rolled, reference, repaired

pytestmark = pytest.mark.processes


@pytest.fixture
def world(released_world: World, tmp_path: Path) -> World:
    """What is released is bad; a stage may take it back."""
    return copied(released_world, tmp_path)


def test_a_rollback_is_written_into_git_in_one_commit_and_only_once(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    promotion, _ = rolled.execute("e2")
    entry = rolled.registered.versions[BAD]
    assert entry.state is VersionState.QUARANTINED
    assert entry.person == "rollback (dev)"
    assert entry.reason == "rolled back in dev: it scores 0.41"
    assert entry.at == rolled.released.at + timedelta(minutes=5)
    assert entry.evidence == {"stage": "dev", "revision": 2, "score": 0.41, "threshold": 0.8}
    assert rolled.registered.released == GOOD
    champion = rolled.tree.production(TASK)
    assert champion is not None
    assert champion.version == GOOD
    assert check(rolled.tree)[1] == []
    # The candidate is the version that did harm: it is left alone, and nothing is promoted.
    assert promotion.tasks[TASK].outcome == "taken out"
    assert git(world.remote, "rev-parse", "main^") == rolled.head
    message = git(world.remote, "log", "-1", "--format=%B", "main")
    assert message.startswith(f"Roll back {TASK} {BAD}\n\n{TASK} {BAD} is quarantined;")
    assert f"prompt-hub ledger activate {TASK} --stage dev --to {BAD}" in message
    assert f"prompt-hub promote downgrade {TASK} --to {BAD} --override" in message
    assert "dev and later stages wait for the command above" in message
    head = world.head()
    again, _ = rolled.execute("e3")
    assert again.written_back == ()
    assert world.head() == head, "what git says already makes no second commit"


def test_two_executions_that_both_learn_of_a_rollback_write_it_once(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    world.evaluated("e2", rolled.head)
    world.evaluated("e3", rolled.head)
    world.promote("e2", stage_words=rolled.words)
    head = world.head()
    late = world.promote("e3", stage_words=rolled.words)
    assert (world.head(), late.released_commit) == (head, head)


def test_a_person_who_undid_it_before_git_knew_wins(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.choose("dev", BAD, 6)
    promotion, _ = rolled.execute("e2")
    assert promotion.written_back == ()
    assert world.head() == rolled.head


def test_a_person_who_undoes_it_after_git_knew_is_followed(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    rolled.choose("dev", BAD, 7)
    promotion, _ = rolled.execute("e3")
    assert [back.action for back in promotion.written_back] == ["restored"]
    assert rolled.registered.released == BAD
    assert rolled.registered.versions[BAD].person == "Ada"
    assert rolled.registered.versions[BAD].evidence is None
    assert rolled.registered.versions[GOOD].state is VersionState.SUPERSEDED
    assert check(rolled.tree)[1] == []
    head = world.head()
    rolled.execute("e4")
    assert world.head() == head


@pytest.mark.parametrize("known", [False, True], ids=["git knows nothing", "git knew"])
def test_a_person_who_undid_it_and_was_undone_brings_nothing_back(
    world: World, *, known: bool
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    if known:
        rolled.execute("e2")
    rolled.choose("dev", BAD, 7)
    rolled.choose("dev", GOOD, 8)
    promotion, _ = rolled.execute("e3")
    assert promotion.written_back == ()
    assert rolled.registered.released == (GOOD if known else BAD)


@pytest.mark.parametrize(("insisted", "chosen"), [(False, 7), (True, 0.002)])
def test_one_execution_takes_a_version_out_and_brings_back_what_a_person_chose(
    world: World, insisted: bool, chosen: float
) -> None:
    """What goes stands in the way of nothing, not even where a person released it afterwards."""
    rolled = Rolled(world, "dev", "prod")
    rolled.roll_back("dev", 0.001)
    rolled.execute("e2")
    repaired(world)
    if insisted:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(aws_names.ENV_ROOT, str(world.author.root))
            signed = ["--person", "Ada", "--reason", "the examples were wrong"]
            assert main(["promote", "override", TASK, *signed]) is ExitCode.OK
    world.push("repaired")
    promotion, _ = rolled.execute("e3")
    assert rolled.registered.released == "1.3.0"
    rolled.choose("dev", BAD, chosen)
    rolled.stages["prod"].activate(
        TASK,
        reference(rolled.tree, "1.3.0"),
        seen=1,
        release=ReleaseRef(release="e3", made_at=timestamp(promotion.at)),
        cause=rolled.cause("pipeline", 8),
    )
    rolled.roll_back("prod", 9)
    promotion, _ = rolled.execute("e4")
    assert [(back.version, back.action) for back in promotion.written_back] == [
        (BAD, "restored"),
        ("1.3.0", "quarantined"),
    ]
    assert rolled.registered.released == BAD
    assert rolled.registered.versions["1.3.0"].state is VersionState.QUARANTINED
    assert rolled.registered.versions[GOOD].state is VersionState.SUPERSEDED
    assert check(rolled.tree)[1] == []
    head = world.head()
    rolled.execute("e5")
    assert world.head() == head


@pytest.mark.parametrize(
    ("first", "second", "quarantined"),
    [("person", "rollback", True), ("rollback", "person", False)],
)
def test_of_stages_that_disagree_the_newest_word_counts(
    world: World, first: str, second: str, quarantined: bool
) -> None:
    rolled = Rolled(world, "dev", "prod")
    rolled.choose("prod", GOOD, 1)
    for minute, who in enumerate((first, second), start=5):
        if who == "person":
            rolled.choose("prod", BAD, minute)
        else:
            rolled.roll_back("dev", minute)
    rolled.execute("e2")
    assert (rolled.registered.versions[BAD].state is VersionState.QUARANTINED) is quarantined


def test_one_stage_is_enough_and_what_takes_its_place_is_not_quarantined_itself(
    world: World,
) -> None:
    rolled = Rolled(world, "dev", "prod")
    rolled.roll_back("dev", 5)
    promotion, _ = rolled.execute("e2")
    assert [(back.stage, back.to) for back in promotion.written_back] == [("dev", GOOD)]


def test_a_person_who_released_it_again_in_git_wins_over_the_older_rollback(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    author = world.author.repository
    decision = Decision("Grace", "the examples were wrong", override=True)
    later = rolled.released.at + timedelta(minutes=9)
    apply(author.root, downgrade(author, TASK, BAD, decision, later))
    world.push("by hand")
    head = world.head()
    promotion, _ = rolled.execute("e3")
    assert promotion.written_back == ()
    assert rolled.registered.released == BAD
    assert rolled.registered.versions[GOOD].state is VersionState.SUPERSEDED, "a way back"
    assert world.head() == head


@pytest.mark.parametrize("decided", ["archived", "downgraded"])
def test_what_a_person_decides_in_git_after_an_undo_in_a_stage_stands(
    world: World, decided: str
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    rolled.choose("dev", BAD, 7)
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    author, grace = world.author.repository, Decision("Grace", "it names wrong classes")
    later = rolled.released.at + timedelta(minutes=9)
    changes = (
        archive(author, TASK, grace, later)
        if decided == "archived"
        else downgrade(author, TASK, "1.0.0", grace, later)
    )
    apply(author.root, changes)
    world.push("by hand")
    promotion, _ = rolled.execute("e3")
    assert promotion.written_back == ()
    assert rolled.registered.released == (None if decided == "archived" else "1.0.0")


def test_a_way_back_whose_file_is_gone_does_not_hold_up_every_promotion(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    (world.author.root / "prompts" / "99-archive" / TASK / f"{GOOD}.yaml").unlink()
    world.push("tidied up too much")
    promotion, _ = rolled.execute("e2")
    assert [(back.version, back.to) for back in promotion.written_back] == [(BAD, "1.0.0")]
    assert set(promotion.tasks) == {TASK, "brand"}


def test_a_version_that_a_person_chose_and_git_has_lost_is_said_and_holds_up_nothing(
    world: World,
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    (world.author.root / "prompts" / "99-archive" / TASK / f"{BAD}.yaml").unlink()
    world.push("tidied up too much")
    rolled.choose("dev", BAD, 7)
    promotion, said = rolled.execute("e3")
    assert promotion.written_back == ()
    assert any(f"{TASK} {BAD} is not in the archive" in line for line in said)
    assert set(promotion.tasks) == {TASK, "brand"}


def test_without_a_version_to_release_instead_people_are_told_and_nothing_moves(
    world: World,
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    author = world.author.repository
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    registry = author.registry().tasks[TASK]
    for version, entry in registry.versions.items():
        if entry.state is VersionState.SUPERSEDED:
            words = ["--version", version, "--person", "Ada", "--reason", "wrong units since May"]
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(aws_names.ENV_ROOT, str(author.root))
                assert main(["promote", "quarantine", TASK, *words]) == ExitCode.OK
    world.push("nothing to go back to")
    promotion, said = rolled.execute("e2")
    assert promotion.written_back == ()
    assert any("WARNING" in line and "stays released in git" in line for line in said)
    assert rolled.registered.released == BAD


def test_a_ledger_that_does_not_answer_is_no_answer(
    first_world: World,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = copied(first_world, tmp_path)
    clone = world.evaluated("e1", world.push("candidate"))
    shutil.copytree(world.folder / "results", clone / RESULTS_DIR)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    names = ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", aws_names.ENV_RESULTS_BUCKET)
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(aws_names.ENV_ROOT, str(clone))
    monkeypatch.setenv(aws_names.ENV_EXECUTION, "e1")
    head = world.head()
    assert main(["promote", "execution", "--push", "--stages", "dev"]) == ExitCode.USAGE
    assert "AWS was not asked: You must specify a region" in capsys.readouterr().err
    assert world.head() == head
    assert main(["evaluate", "--record", "--stages", "dev"]) == ExitCode.USAGE
    assert "AWS was not asked" in capsys.readouterr().err
    # Nothing else stood in its way.
    assert main(["promote", "execution", "--push", "--stages", ""]) == ExitCode.OK
    assert world.head() != head


def test_a_registry_that_was_edited_by_hand_is_put_right_by_the_next_execution(
    world: World,
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    world.author.edit("prompt_registry.yaml", "state: quarantined", "state: superseded")
    world.push("nobody saw this")
    promotion, _ = rolled.execute("e3")
    assert [back.action for back in promotion.written_back] == ["quarantined"]
    assert rolled.registered.versions[BAD].state is VersionState.QUARANTINED
    assert rolled.registered.released == GOOD


def test_a_bot_commit_that_somebody_reverts_is_made_again(world: World) -> None:
    """A revert names nobody: the commit's message says what does."""
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    git(world.author.root, "revert", "--no-edit", "HEAD")
    git(world.author.root, "push", "--quiet", "origin", "HEAD:main")
    promotion, _ = rolled.execute("e3")
    assert [back.action for back in promotion.written_back] == ["quarantined"]
    assert promotion.tasks[TASK].outcome == "taken out"
    assert rolled.registered.released == GOOD
