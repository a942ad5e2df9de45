"""What Promote takes over from the ledgers: rollbacks, and what a person said after them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.ledger.items import BY_HAND, ReleaseRef, VersionRef, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.promotion.states import Decision
from prompt_hub.promotion.transitions import archive, downgrade
from prompt_hub.promotion.write_back import StageWord, read_words
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask, VersionState
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.check import check
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on
from tests.unit.promotion.checkouts import World, git

TASK, BAD, GOOD = "part-class", "1.2.0", "1.1.0"
Stages = dict[str, Ledger]


def reference(tree: PromptRepository, version: str) -> VersionRef:
    entry = tree.registry().tasks[TASK].versions[version]
    return VersionRef(version=version, sha256=entry.sha256)


class Rolled:
    """A world whose first execution has released the bad version, and stages that follow it."""

    def __init__(self, world: World, *stages: str) -> None:
        self.world = world
        world.evaluated("e1", world.push("candidate"))
        self.released = world.promote("e1")
        self.head = world.head()
        self.tree = PromptRepository(world.folder / "e1")
        self.stages: Stages = {stage: ledger_on(FakeDynamoDB()) for stage in stages}
        for ledger in self.stages.values():
            ledger.seed(
                TASK,
                reference(self.tree, BAD),
                previous=reference(self.tree, GOOD),
                release=ReleaseRef(release="e1", made_at=timestamp(self.released.at)),
                cause=self.cause("pipeline", 0),
            )

    def cause(self, by: str, minute: float, code: str = "") -> Cause:
        at = timestamp(self.released.at + timedelta(minutes=minute))
        evidence = {"score": 0.41, "threshold": 0.8} if by == "rollback" else {}
        return Cause(by=by, reason="it scores 0.41", at=at, code=code, evidence=evidence)

    def roll_back(self, stage: str, minute: float) -> None:
        ledger = self.stages[stage]
        pointer = ledger.pointer(TASK)
        assert pointer is not None
        ledger.roll_back(TASK, seen=pointer.revision, cause=self.cause("rollback", minute))

    def choose(self, stage: str, version: str, minute: float) -> None:
        """A person's `ledger activate`."""
        ledger = self.stages[stage]
        pointer = ledger.pointer(TASK)
        assert pointer is not None
        ledger.activate(
            TASK,
            reference(self.tree, version),
            seen=pointer.revision,
            release=pointer.release,
            cause=self.cause("Ada", minute, BY_HAND),
            override=True,
        )

    def execute(self, name: str) -> tuple[Promotion, list[str]]:
        said: list[str] = []
        self.world.evaluated(name, self.world.head())
        promotion = self.world.promote(name, said.append, self.words)
        self.tree = PromptRepository(self.world.folder / name)
        return promotion, said

    def words(self) -> list[StageWord]:
        return [w for stage, ledger in self.stages.items() for w in read_words(stage, ledger)]

    @property
    def registered(self) -> RegisteredTask:
        return self.tree.registry().tasks[TASK]


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


def repaired(world: World) -> None:
    """Write the next version, with other words, on what the bot has pushed."""
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    world.author.bump(TASK, BAD, "1.3.0")
    world.author.edit(f"prompts/00-templates/{TASK}.yaml", "Answer with JSON", "Say it as JSON")
    world.author.stamp(TASK)


def test_the_next_candidate_is_compared_with_what_is_active(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    repaired(world)
    world.push("repaired")
    promotion, _ = rolled.execute("e3")
    assert promotion.tasks[TASK].outcome == "promoted"
    record = (rolled.tree.prompts / "04-evals" / TASK / "1.3.0.json").read_text(encoding="utf-8")
    assert reference(rolled.tree, GOOD).sha256 in record
    assert rolled.registered.released == "1.3.0"
    assert rolled.registered.versions[BAD].state is VersionState.QUARANTINED


def test_the_same_content_under_a_new_number_is_not_promoted(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    world.author.bump(TASK, BAD, "1.3.0")
    world.author.stamp(TASK)
    world.push("the same words again")
    promotion, _ = rolled.execute("e3")
    assert promotion.tasks[TASK].outcome == "not allowed"
    assert f"its content is that of {BAD}" in promotion.tasks[TASK].reasons[0]
    assert rolled.registered.released == GOOD


def test_the_same_content_under_a_new_number_is_promoted_for_a_person_who_insists(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    world.author.bump(TASK, BAD, "1.3.0")
    world.author.stamp(TASK)
    monkeypatch.setenv("PROMPT_HUB_ROOT", str(world.author.root))
    signed = ["--person", "Ada", "--reason", "the examples were wrong"]
    assert main(["promote", "override", TASK, *signed]) is ExitCode.OK
    world.push("the same words again, by name")
    promotion, _ = rolled.execute("e3")
    assert promotion.tasks[TASK].outcome == "promoted"
    entry = rolled.registered.versions["1.3.0"]
    assert (rolled.registered.released, entry.person) == ("1.3.0", "Ada")


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
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.evaluated("e1", world.push("candidate"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(aws_names.ENV_ROOT, str(world.folder / "e1"))
    monkeypatch.setenv(aws_names.ENV_EXECUTION, "e1")
    head = world.head()
    assert main(["promote", "execution", "--push", "--stages", "dev"]) != ExitCode.OK
    assert world.head() == head


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


def test_a_second_push_of_the_quarantined_number_stays_out(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    rolled.execute("e2")
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    world.author.edit(f"prompts/00-templates/{TASK}.yaml", "Answer with JSON", "Say it as JSON")
    world.author.stamp(TASK)
    world.push("repaired, and the number forgotten")
    promotion, _ = rolled.execute("e3")
    assert promotion.tasks[TASK].outcome == "taken out"
    assert "was quarantined (rolled back in dev" in promotion.tasks[TASK].reasons[0]
    assert rolled.registered.released == GOOD
