"""A world in which a stage may roll back what was promoted, and Promote reads the ledgers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prompt_hub.ledger.items import BY_HAND, ReleaseRef, VersionRef, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.promotion.promoter import Promotion, promotion_by
from prompt_hub.promotion.write_back import StageWord, read_words
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on
from tests.unit.promotion.checkouts import World, copied, git

TASK, BAD, GOOD = "part-class", "1.2.0", "1.1.0"
Stages = dict[str, Ledger]


def reference(tree: PromptRepository, version: str) -> VersionRef:
    entry = tree.registry().tasks[TASK].versions[version]
    return VersionRef(version=version, sha256=entry.sha256)


@pytest.fixture(scope="session")
def released_world(first_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose first execution has released the bad version."""
    world = copied(first_world, tmp_path_factory.mktemp("released"))
    world.evaluated("e1", world.push("candidate"))
    world.promote("e1")
    return world


class Rolled:
    """A world whose first execution has released the bad version, and stages that follow it."""

    def __init__(self, world: World, *stages: str) -> None:
        self.world = world
        self.released = promotion_by(world.results, "e1")
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


def repaired(world: World) -> None:
    """Write another wording under the next number, on what the bot has pushed."""
    git(world.author.root, "pull", "--quiet", "--rebase", "origin", "main")
    world.author.bump(TASK, BAD, "1.3.0")
    world.author.edit(f"prompts/00-templates/{TASK}.yaml", "Answer with JSON", "Say it as JSON")
    world.author.stamp(TASK)
