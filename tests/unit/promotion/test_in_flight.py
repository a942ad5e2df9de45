"""What people push, revert or retry while an execution is on its way to Promote, on real git."""

from __future__ import annotations

import pytest

from prompt_hub.cli.verdict import newly_refused
from prompt_hub.evaluation.store import logged_record
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject
from prompt_hub.validation.check import check
from tests.unit.building import RepositoryFolder
from tests.unit.promotion.checkouts import OTHER_MODEL, World, git

pytestmark = pytest.mark.processes

TASK = "part-class"


def resistor(messages: list[dict[str, str]]) -> JsonObject:
    """Answer every example wrong but those of resistors."""
    return {"part_class": "resistor"}


def add_maker(folder: RepositoryFolder) -> None:
    """Add a task that asks what `brand` asks."""
    for layer, ending in (
        ("00-templates", "yaml"),
        ("01-examples", "jsonl"),
        ("03-metadata", "yaml"),
    ):
        text = folder.read(f"prompts/{layer}/brand.{ending}")
        renamed = text.replace("task: brand", "task: maker").replace("brand.yaml", "maker.yaml")
        folder.write(f"prompts/{layer}/maker.{ending}", renamed)
    folder.stamp("maker")


def revert(world: World) -> str:
    """Push a commit that takes the last one back."""
    git(world.author.root, "revert", "--no-commit", "HEAD")
    return world.push("revert")


def released_at(world: World, execution: str) -> dict[str, str | None]:
    registry = PromptRepository(world.folder / execution).registry()
    return {task: entry.released for task, entry in registry.tasks.items()}


def test_a_new_task_that_was_reverted_meanwhile_is_not_released(world: World) -> None:
    """With it the branch would not validate: every later execution would be red, of any task."""
    world.push("candidate")
    add_maker(world.author)
    world.evaluated("e1", world.push("a new task"))
    revert(world)
    promotion = world.promote("e1")
    maker = promotion.tasks["maker"]
    assert (maker.outcome, newly_refused(maker)) == ("taken out", False)
    assert maker.reasons == ("the branch has no files of maker any more",)
    assert promotion.tasks[TASK].outcome == "promoted"
    git(world.folder, "clone", "--quiet", str(world.remote), "next")
    assert check(PromptRepository(world.folder / "next"))[1] == []
    assert "maker" not in released_at(world, "next")


def test_a_new_task_of_the_branch_is_released_from_the_bots_own_branch(world: World) -> None:
    add_maker(world.author)
    world.evaluated("e1", world.push("a new task"))
    assert world.promote("e1", waits_in="prompt-hub/promotion").tasks["maker"].outcome == "promoted"


def test_a_version_that_was_reverted_too_late_is_told(world: World) -> None:
    """Its author believes that it is gone, and the next person's push would be red."""
    world.author.promote(TASK)
    world.push("1.2.0")
    world.author.edit("prompts/00-templates/catalogue-role.txt", "You", "Now you")
    world.author.bump(TASK, "1.2.0", "1.3.0")
    world.evaluated("e1", world.push("1.3.0"))
    world.evaluated("e2", revert(world))
    assert world.promote("e1").tasks[TASK].outcome == "promoted"
    late = world.promote("e2").tasks[TASK]
    assert (late.outcome, newly_refused(late)) == ("champion changed", True)
    (reason,) = late.reasons
    assert "1.2.0 was superseded by 1.3.0 meanwhile, which is released" in reason
    assert f"prompt-hub promote downgrade {TASK} --to 1.2.0" in reason


def test_who_never_saw_the_version_that_overtook_is_told_nothing(world: World) -> None:
    world.author.promote(TASK)
    world.evaluated("e1", world.push("1.2.0"))
    world.author.edit("prompts/00-templates/catalogue-role.txt", "You", "Now you")
    world.author.bump(TASK, "1.2.0", "1.3.0")
    world.evaluated("e2", world.push("1.3.0"))
    assert world.promote("e2").tasks[TASK].outcome == "promoted"
    overtaken = world.promote("e1").tasks[TASK]
    assert (overtaken.outcome, newly_refused(overtaken)) == ("taken out", False)


def test_another_text_under_a_number_that_is_released_since_is_told_to_raise_it(
    world: World,
) -> None:
    world.evaluated("e1", world.push("candidate"))
    world.author.edit("prompts/00-templates/catalogue-role.txt", "You", "Now you")
    world.evaluated("e2", world.push("a word mended"))
    world.promote("e1")
    late = world.promote("e2").tasks[TASK]
    assert (late.outcome, newly_refused(late)) == ("champion changed", True)
    reason = "1.2.0 was released meanwhile with other content; raise the version"
    assert late.reasons == (reason,)


def test_the_same_text_measured_on_another_model_is_judged_by_the_next_execution(
    world: World,
) -> None:
    world.evaluated("e1", world.push("candidate"))
    world.author.write("models.md", "The alias names another model now.\n")
    world.evaluated("e2", world.push("another model"), aliases=OTHER_MODEL)
    world.promote("e1")
    (reason,) = world.promote("e2").tasks[TASK].reasons
    assert "an execution that starts now" in reason


def retried(world: World) -> None:
    """Let Promote of e1 start over, in a clone of its own."""
    clone = world.folder / "e1"
    commit = git(clone, "rev-parse", "HEAD")
    clone.rename(world.folder / "e1-before")
    git(world.folder, "clone", "--quiet", str(world.remote), "e1")
    git(clone, "checkout", "--quiet", "--detach", commit)


def test_a_retry_logs_a_refusal_once_and_stays_red(world: World) -> None:
    world.evaluated("e0", world.push("bad candidate"), resistor)
    world.evaluated("e1", world.head(), resistor)
    assert newly_refused(world.promote("e1").tasks[TASK])
    head = world.head()
    retried(world)
    assert newly_refused(world.promote("e1").tasks[TASK]), "nobody may have been told"
    assert world.head() == head
    world.evaluated("e2", head, resistor)
    assert not newly_refused(world.promote("e2").tasks[TASK])


def test_a_retry_logs_once_that_the_champion_falls_short_on_another_model(world: World) -> None:
    world.author.promote(TASK)
    world.evaluated("e1", world.push("another model"), resistor, OTHER_MODEL)
    assert newly_refused(world.promote("e1").tasks[TASK])
    head = world.head()
    retried(world)
    assert newly_refused(world.promote("e1").tasks[TASK])
    assert world.head() == head


def test_other_words_that_are_refused_under_the_same_number_are_logged(world: World) -> None:
    world.evaluated("e1", world.push("bad candidate"), resistor)
    world.author.edit("prompts/00-templates/catalogue-role.txt", "You", "Now you")
    world.evaluated("e2", world.push("as bad"), resistor)
    world.promote("e1")
    head = world.head()
    assert newly_refused(world.promote("e2").tasks[TASK])
    assert world.head() != head
    record = logged_record(PromptRepository(world.folder / "e2"), TASK, "1.2.0")
    assert record is not None
    assert record.execution == "e2"
