"""What a rollback does to candidates: the next, the waiting, the retried, the same again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.ledger.table import Ledger
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import VersionState
from tests.unit.building import catalogue_answer
from tests.unit.promotion.checkouts import World, copied, git
from tests.unit.promotion.rolled_back import BAD, GOOD, TASK, Rolled, reference, repaired
from tests.unit.service.fake_provider import fake_provider

pytestmark = pytest.mark.processes


@pytest.fixture
def world(released_world: World, tmp_path: Path) -> World:
    """What is released is bad; a stage may take it back."""
    return copied(released_world, tmp_path)


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


def test_a_candidate_that_waits_while_git_does_not_know_is_held_against_what_is_active(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    repaired(world)
    world.push("repaired")
    clone = world.folder / "e2"
    git(world.folder, "clone", "--quiet", str(world.remote), str(clone))
    monkeypatch.setattr(Ledger, "connect", lambda name, **_: rolled.stages["dev"])
    with fake_provider() as provider:
        provider.thinks = catalogue_answer
        model = {"provider": "openai", "model": "small-model-2026-01", "base_url": provider.url}
        models = {"catalogue-pinned": model, "catalogue-latest": {**model, "model": "latest"}}
        for name, value in (
            (aws_names.ENV_ROOT, str(clone)),
            (aws_names.ENV_MODELS, json.dumps(models)),
            (aws_names.ENV_EXECUTION, "e2"),
        ):
            monkeypatch.setenv(name, value)
        assert main(["evaluate", "--record", "--stages", "dev"]) is ExitCode.OK
    here = replace(world, results=FolderResults(clone / RESULTS_DIR))
    promotion = here.promote("e2", stage_words=rolled.words)
    assert promotion.tasks[TASK].outcome == "promoted"
    registered = PromptRepository(clone).registry().tasks[TASK]
    assert (registered.released, registered.versions[BAD].state) == (
        "1.3.0",
        VersionState.QUARANTINED,
    )
    subject = git(world.remote, "log", "-1", "--format=%s", "main")
    assert subject == f"Roll back {TASK} {BAD}; promote {TASK} 1.3.0"
    assert git(world.remote, "rev-list", "--count", f"{rolled.head}..main") == "2"


def test_a_rollback_between_evaluation_and_promotion_asks_for_another_execution(
    world: World,
) -> None:
    rolled = Rolled(world, "dev")
    repaired(world)
    world.push("repaired")
    world.evaluated("e2", world.head())
    rolled.roll_back("dev", 5)
    late = world.promote("e2", stage_words=rolled.words)
    assert late.tasks[TASK].outcome == "champion changed"
    assert late.tasks[TASK].reasons == (
        f"it was compared with {BAD}, and {GOOD} is released since; an execution that starts now"
        " compares it with that (the rollback of a stage starts one)",
    )
    # The rollback's event starts it: nobody needs to push again.
    promotion, _ = rolled.execute("e3")
    assert promotion.tasks[TASK].outcome == "promoted"
    assert rolled.registered.released == "1.3.0"


def test_an_execution_that_is_retried_after_the_rollback_brings_nothing_back(world: World) -> None:
    rolled = Rolled(world, "dev")
    rolled.roll_back("dev", 5)
    # Before git knows: its own Promote is the one that writes the rollback.
    retried = world.promote("e1", stage_words=rolled.words)
    assert [back.action for back in retried.written_back] == ["quarantined"]
    assert retried.tasks[TASK].outcome == "taken out"
    head = world.head()
    # And after it.
    again = world.promote("e1", stage_words=rolled.words)
    assert again.tasks[TASK].outcome == "taken out"
    assert world.head() == head
    registered = PromptRepository(world.folder / "e1").registry().tasks[TASK]
    assert (registered.released, registered.versions[BAD].state) == (
        GOOD,
        VersionState.QUARANTINED,
    )


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
