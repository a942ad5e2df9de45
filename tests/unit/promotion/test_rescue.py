"""Taking out a version that fell short on another model leaves a repository that validates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.cli.verdict import newly_refused
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.store import evaluation_by, logged_evaluation
from prompt_hub.promotion.release_check import release_blocker
from prompt_hub.promotion.states import NotAllowedError
from prompt_hub.promotion.transitions import promote, replace_record
from prompt_hub.repository.registry import RegisteredVerdict
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from tests.unit.building import MADE_AT, RepositoryFolder
from tests.unit.promotion.checkouts import OTHER_MODEL, World, copied, git
from tests.unit.promotion.rolled_back import Rolled

TASK = "part-class"
BY_ADA = ("--person", "Ada Lovelace", "--reason", "customers see wrong units")
RESCUES = {
    "downgrade": ("downgrade", TASK, "--to", "1.1.0"),
    "archive": ("archive", TASK),
    "quarantine": ("quarantine", TASK, "--version", "1.2.0", "--to", "1.1.0"),
}


def resistor(messages: list[dict[str, str]]) -> JsonObject:
    return {"part_class": "resistor"}


def diode(messages: list[dict[str, str]]) -> JsonObject:
    return {"part_class": "diode"}


@cache
def fall_short(first_world: World, folder: Path, *, override: bool, left_in: bool = False) -> World:
    """Release 1.2.0, by its verdict or against it, and let it fall short on another model.

    The override may be `left_in` the metadata.
    """
    world = copied(first_world, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(aws_names.ENV_ROOT, str(world.author.root))
        if override:
            assert main(["promote", "override", TASK, *BY_ADA]) == ExitCode.OK
            world.evaluated("e1", world.push("candidate and override"), resistor)
        else:
            world.evaluated("e1", world.push("candidate"))
        assert world.promote("e1").tasks[TASK].outcome == "promoted"
        git(world.author.root, "pull", "--quiet", "origin", "main")
        if override and not left_in:
            metadata = f"prompts/03-metadata/{TASK}.yaml"
            world.author.write(metadata, world.author.read(metadata).split("override:")[0])
        world.author.write("models.md", "The alias names another model now.\n")
        world.evaluated("e2", world.push("another model"), diode, OTHER_MODEL)
        second = world.promote("e2").tasks[TASK]
        assert (second.outcome, newly_refused(second)) == ("refused", True)
        assert ("say it again with a new reason" in " ".join(second.reasons)) == left_in
        git(world.author.root, "pull", "--quiet", "origin", "main")
        assert last_verdict(world.author).status == "BLOCK"
        assert main(["validate"]) == ExitCode.OK
    return world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where such worlds are made, each once."""
    return tmp_path_factory.mktemp("fallen")


@pytest.fixture
def fallen_short(
    first_world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bool], World]:
    """A copy of such a world, as commands find it; released against its verdict or not."""

    def get(override: bool) -> World:
        kept = fall_short(first_world, folder / f"override-{override}", override=override)
        world = copied(kept, tmp_path)
        monkeypatch.setenv(aws_names.ENV_ROOT, str(world.author.root))
        return world

    return get


@pytest.mark.processes
def test_an_override_does_not_release_its_version_on_another_model_too(
    first_world: World, folder: Path
) -> None:
    world = fall_short(first_world, folder / "left-in", override=True, left_in=True)
    registered = world.author.repository.registry().tasks[TASK]
    assert registered.released == "1.2.0"
    model = registered.versions["1.2.0"].model
    assert model is not None
    assert model.identity == "openai:small-model-2026-01"
    # Whoever evaluates it on that model hears of it before a push.
    found = evaluation_by(world.results, "e2", TASK)
    assert found is not None
    blocker = release_blocker(world.author.repository, found.record)
    assert "say it again with a new reason" in (blocker or "")


@pytest.fixture
def overridden(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world that has released 1.2.0 against its verdict; the override stays in the metadata."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(world.author.root))
    assert main(["promote", "override", TASK, *BY_ADA]) == ExitCode.OK
    world.evaluated("e1", world.push("candidate and override"), resistor)
    assert world.promote("e1").tasks[TASK].outcome == "promoted"
    git(world.author.root, "pull", "--quiet", "origin", "main")
    return world


def refused_on_another_model(world: World, rolled: Rolled | None = None) -> bool:
    """Whether 1.2.0 is refused there, people are told, and git keeps the model of its release."""
    world.evaluated("other", world.head(), diode, OTHER_MODEL)
    promotion = world.promote("other", stage_words=rolled.words if rolled else tuple)
    refused = promotion.tasks[TASK]
    git(world.author.root, "pull", "--quiet", "origin", "main")
    model = world.author.repository.registry().tasks[TASK].versions["1.2.0"].model
    kept = model is not None and model.identity == "openai:small-model-2026-01"
    return kept and (refused.outcome, newly_refused(refused)) == ("refused", True)


def written_back(world: World, execution: str, rolled: Rolled) -> str:
    """Return what an execution took over from the stage."""
    world.evaluated(execution, world.head(), resistor)
    (back,) = world.promote(execution, stage_words=rolled.words).written_back
    return back.action


@pytest.mark.processes
def test_an_override_stays_used_where_its_version_was_taken_out_and_brought_back(
    overridden: World,
) -> None:
    """Whoever brings it back signs it in the registry, in place of whoever overrode."""
    bob = ("--person", "Bob", "--reason", "example 17 was labelled wrong")
    downgrade = ("promote", "downgrade", TASK, *bob, "--to")
    assert main([*downgrade, "1.1.0"]) == ExitCode.OK
    assert main([*downgrade, "1.2.0", "--override"]) == ExitCode.OK
    overridden.push("back, and forward again")
    assert refused_on_another_model(overridden)


@pytest.mark.processes
def test_an_override_stays_used_where_a_rollback_was_undone(overridden: World) -> None:
    rolled = Rolled(overridden, "dev")
    rolled.roll_back("dev", 1)
    assert written_back(overridden, "e2", rolled) == "quarantined"
    rolled.choose("dev", "1.2.0", 2)
    assert written_back(overridden, "e3", rolled) == "restored"
    assert refused_on_another_model(overridden, rolled)


@pytest.mark.processes
def test_an_override_that_is_new_counts_on_another_model(overridden: World) -> None:
    again = ("--person", "Ada Lovelace", "--reason", "the other model is as good for customers")
    assert main(["promote", "override", TASK, *again]) == ExitCode.OK
    overridden.push("override, once more")
    overridden.evaluated("other", overridden.head(), diode, OTHER_MODEL)
    assert overridden.promote("other").tasks[TASK].outcome == "requalified"


@pytest.mark.processes
def test_an_override_is_used_for_a_release_by_hand_as_well(
    overridden: World,
) -> None:
    overridden.evaluated("other", overridden.head(), diode, OTHER_MODEL)
    found = evaluation_by(overridden.results, "other", TASK)
    assert found is not None
    with pytest.raises(NotAllowedError, match="say it again with a new reason"):
        promote(overridden.author.repository, found.record, found.details_text, MADE_AT)


def last_verdict(folder: RepositoryFolder) -> RegisteredVerdict:
    verdict = folder.repository.registry().tasks[TASK].verdict
    assert verdict is not None
    return verdict


@pytest.mark.processes
@pytest.mark.parametrize("override", [False, True], ids=["by verdict", "against verdict"])
@pytest.mark.parametrize("rescue", RESCUES)
def test_a_rescue_leaves_a_valid_repository(
    fallen_short: Callable[[bool], World], rescue: str, override: bool
) -> None:
    fallen_short(override)
    assert main(["promote", *RESCUES[rescue], *BY_ADA]) == ExitCode.OK
    assert main(["validate"]) == ExitCode.OK
    assert main(["promote", "downgrade", TASK, "--to", "1.2.0", "--override", *BY_ADA]) == (
        ExitCode.OK
    )
    assert main(["validate"]) == ExitCode.OK


def test_a_rescue_holds_up_nobody_whose_candidate_is_older(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.1.0 is taken out, 1.0.1 takes its place, and 1.1.0 proves to be the better one."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    assert main(["promote", "downgrade", TASK, "--to", "1.0.0", *BY_ADA]) == ExitCode.OK
    healthy.bump(TASK, "1.2.0", "1.0.1")
    healthy.promote(TASK)
    assert main(["promote", "downgrade", TASK, "--to", "1.1.0", "--override", *BY_ADA]) == (
        ExitCode.OK
    )
    assert main(["validate"]) == ExitCode.OK


@pytest.mark.processes
def test_a_record_made_again_leaves_the_verdict_on_another_model(
    fallen_short: Callable[[bool], World],
) -> None:
    world = fallen_short(False)
    before = last_verdict(world.author)
    logged = logged_evaluation(world.author.repository, TASK, "1.2.0")
    assert logged is not None
    changes = replace_record(world.author.repository, logged.record, logged.details_text)
    apply(world.author.root, changes)
    assert last_verdict(world.author) == before
    assert main(["validate"]) == ExitCode.OK


@pytest.mark.processes
def test_a_record_of_an_undecided_candidate_made_again_takes_its_verdict_along(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing seals it, and still the registry says what it says."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(world.author.root))
    metadata = f"prompts/03-metadata/{TASK}.yaml"
    world.author.edit(metadata, "margin: 0.5, confidence: 0.9", "margin: 0.01, confidence: 0.99")
    world.evaluated("e1", world.push("a margin that six examples cannot show"))
    world.promote("e1")
    git(world.author.root, "pull", "--quiet", "origin", "main")
    assert last_verdict(world.author).status == "INCONCLUSIVE"
    logged = logged_evaluation(world.author.repository, TASK, "1.2.0")
    assert logged is not None
    assert logged.record.candidate is not None
    arm = logged.record.candidate.model_copy(update={"score": 0.75})
    record = logged.record.model_copy(update={"candidate": arm})
    apply(world.author.root, replace_record(world.author.repository, record, logged.details_text))
    assert last_verdict(world.author).score == 0.75
    assert main(["validate"]) == ExitCode.OK
