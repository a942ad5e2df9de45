"""Promotion where nobody may push to the branch: it waits in a branch of its own for its merge."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.promotion.git_promotion import BOT_PATHS, Checkout
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.validation.check import check
from tests.unit.promotion.checkouts import World, git

pytestmark = pytest.mark.processes

BRANCH = aws_names.PROMOTION_BRANCH
RULES = """#!/bin/sh
[ "$1" != refs/heads/main ] || { echo "changes go through a pull request" >&2; exit 1; }
"""


def protect(world: World) -> None:
    """Let nobody push to main any more, as a ruleset does."""
    hook = world.remote / "hooks" / "update"
    hook.write_text(RULES, encoding="utf-8")
    hook.chmod(0o755)


def merge(world: World, how: str, what: str = f"origin/{BRANCH}") -> str:
    """Merge the bot's branch as GitHub does, past the rules, and return the new head of main."""
    person = world.folder / "merging"
    git(world.folder, "clone", "--quiet", str(world.remote), str(person))
    (world.remote / "hooks" / "update").unlink()
    git(person, "merge", "--quiet", *how.split(), what)
    if how == "--squash":
        git(person, "commit", "--quiet", "-m", "Squashed")
    git(person, "push", "--quiet", "origin", "HEAD:main")
    protect(world)
    return world.head()


def bump_brand(world: World) -> None:
    world.author.edit("prompts/00-templates/brand.yaml", "Which brand is", "Name the brand of")
    world.author.bump("brand", "1.0.0", "1.1.0")
    world.author.stamp("brand")


def execution(world: World, name: str, commit: str) -> Path:
    """Evaluate and promote `commit` as an installation with pull requests does."""
    clone = world.evaluated(name, commit, waits_in=BRANCH)
    world.promote(name, waits_in=BRANCH)
    return clone


def released(root: Path) -> dict[str, str | None]:
    registry = PromptRepository(root).registry()
    return {task: entry.released for task, entry in registry.tasks.items()}


def waiting(world: World) -> str:
    return git(world.remote, "rev-parse", f"refs/heads/{BRANCH}")


def test_a_protected_branch_refuses_a_push_and_the_error_names_the_other_way(world: World) -> None:
    world.evaluated("e1", world.push("candidate"))
    protect(world)
    with pytest.raises(PromptHubError, match="could not be pushed") as raised:
        world.promote("e1")
    assert "changes go through a pull request" in raised.value.message
    assert '"promotion": "pull-request"' in (raised.value.hint or "")


def test_promotion_waits_in_the_bots_branch_and_is_released_at_once(world: World) -> None:
    commit = world.push("candidate")
    protect(world)
    clone = execution(world, "e1", commit)
    assert world.head() == commit
    assert git(world.remote, "rev-parse", f"{waiting(world)}^") == commit
    changed = git(world.remote, "diff", "--name-only", commit, waiting(world)).splitlines()
    assert changed
    assert all(name.startswith(tuple(BOT_PATHS)) for name in changed)
    assert git(world.remote, "rev-parse", "refs/tags/part-class/v1.2.0") == waiting(world)
    assert released(clone)["part-class"] == "1.2.0"
    assert check(PromptRepository(clone))[1] == []


def test_what_is_not_merged_yet_is_what_the_next_execution_builds_on(world: World) -> None:
    """An author's next commit knows nothing of it, and is held against it all the same."""
    protected_later = world.push("candidate")
    first = world.evaluated("e1", protected_later, waits_in=BRANCH)
    promotion = world.promote("e1", waits_in=BRANCH)
    assert released(first)["part-class"] == "1.2.0"
    bump_brand(world)
    world.author.write(
        "prompts/00-templates/catalogue-role.txt", "You know every electronic part.\n"
    )
    world.author.bump("part-class", "1.2.0", "1.3.0")
    commit = world.push("both tasks")
    protect(world)
    clone = world.evaluated("e2", commit, waits_in=BRANCH)
    second = world.promote("e2", waits_in=BRANCH)
    outcomes = {task: outcome.outcome for task, outcome in second.tasks.items()}
    assert outcomes == {"brand": "promoted", "part-class": "promoted"}
    assert released(clone) == {"brand": "1.1.0", "part-class": "1.3.0"}
    assert check(PromptRepository(clone))[1] == []
    # The branch went forward, never by force, and can be merged into what main is now.
    for older in (promotion.released_commit, commit):
        git(world.remote, "merge-base", "--is-ancestor", older, waiting(world))
    assert git(world.remote, "merge-base", waiting(world), "main") == commit


@pytest.mark.parametrize("how", ["--no-ff", "--ff-only", "--squash"])
def test_whichever_way_people_merge_the_next_promotion_goes_on(world: World, how: str) -> None:
    commit = world.push("candidate")
    protect(world)
    execution(world, "e1", commit)
    before = waiting(world)
    merged = merge(world, how)
    execution(world, "e2", merged)
    tip = git(world.remote, "rev-parse", f"{waiting(world)}^{{tree}}")
    assert tip == git(world.remote, "rev-parse", f"{merged}^{{tree}}")
    git(world.author.root, "pull", "--quiet", "origin", "main")
    (world.remote / "hooks" / "update").unlink()
    bump_brand(world)
    commit = world.push("brand")
    protect(world)
    clone = execution(world, "e3", commit)
    assert released(clone) == {"brand": "1.1.0", "part-class": "1.2.0"}
    git(world.remote, "merge-base", "--is-ancestor", before, waiting(world))
    changed = git(world.remote, "diff", "--name-only", commit, waiting(world)).splitlines()
    assert all(name.startswith(tuple(BOT_PATHS)) for name in changed)


def test_a_branch_that_was_deleted_after_its_merge_is_made_again(world: World) -> None:
    commit = world.push("candidate")
    protect(world)
    execution(world, "e1", commit)
    merged = merge(world, "--squash")
    git(world.remote, "update-ref", "-d", f"refs/heads/{BRANCH}")
    execution(world, "e2", merged)
    # Nothing was left to promote, so nothing waits.
    assert git(world.remote, "for-each-ref", f"refs/heads/{BRANCH}") == ""


def test_what_main_and_the_pull_request_both_changed_is_for_people_to_decide(world: World) -> None:
    commit = world.push("candidate")
    execution(world, "e1", commit)
    registry = world.author.root / "prompt_registry.yaml"
    registry.write_text(registry.read_text("utf-8") + "# by hand\n", encoding="utf-8")
    commit = world.push("by hand")
    protect(world)
    before = waiting(world)
    for stopped in (
        lambda: world.evaluated("e2", commit, waits_in=BRANCH),
        lambda: world.promote("e1", waits_in=BRANCH),
    ):
        with pytest.raises(PromptHubError, match=r"^prompt_registry\.yaml .* both") as raised:
            stopped()
        assert raised.value.exit_code is ExitCode.BLOCKED
    assert waiting(world) == before


def test_a_race_for_the_bots_branch_loses_no_promotion(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.push("part class")
    world.evaluated("e1", first, waits_in=BRANCH)
    bump_brand(world)
    second = world.push("brand")
    world.evaluated("e2", second, waits_in=BRANCH)
    protect(world)
    real = Checkout.commit_bot_layers
    raced: list[str] = []

    def racing(self: Checkout, parent: str, message: str) -> str:
        made = real(self, parent, message)
        if not raced:
            raced.append(world.promote("e1", waits_in=BRANCH).released_commit)
        return made

    def outer(self: Checkout, parent: str, message: str) -> str:
        monkeypatch.setattr(Checkout, "commit_bot_layers", real)
        return racing(self, parent, message)

    monkeypatch.setattr(Checkout, "commit_bot_layers", outer)
    world.promote("e2", waits_in=BRANCH)
    assert released(world.folder / "e2") == {"brand": "1.1.0", "part-class": "1.2.0"}
    git(world.remote, "merge-base", "--is-ancestor", raced[0], waiting(world))


def test_a_merge_that_promotion_did_not_see_coming_is_no_conflict(world: World) -> None:
    """The bot went on from what people squashed meanwhile: what they merged is known to it."""
    commit = world.push("candidate")
    execution(world, "e1", commit)
    seen = waiting(world)
    bump_brand(world)
    second = world.push("brand")
    protect(world)
    execution(world, "e2", second)
    merge(world, "--squash", seen)
    clone = execution(world, "e3", world.head())
    assert released(clone) == {"brand": "1.1.0", "part-class": "1.2.0"}
    assert check(PromptRepository(clone))[1] == []


def test_what_people_change_after_a_squash_whose_branch_was_kept_is_taken_whole(
    world: World,
) -> None:
    """Not file by file: some files of a downgrade are again what they were before the release."""
    commit = world.push("candidate")
    protect(world)
    execution(world, "e1", commit)
    merge(world, "--squash")
    git(world.author.root, "pull", "--quiet", "origin", "main")
    (world.remote / "hooks" / "update").unlink()
    git(world.author.root, "checkout", "--quiet", commit, "--", "prompts/02-production")
    registry = world.author.root / "prompt_registry.yaml"
    registry.write_text(registry.read_text("utf-8") + "# by hand\n", encoding="utf-8")
    logged = world.author.root / "prompts" / "04-evals" / "part-class" / "1.2.0.jsonl"
    logged.unlink()
    head = world.push("by hand")
    clone = world.folder / "later"
    git(world.folder, "clone", "--quiet", str(world.remote), str(clone))
    checkout = Checkout(clone)
    base = checkout.with_waiting(head, checkout.waiting(BRANCH), BRANCH)
    assert base.known_as == head
    assert git(clone, "diff", "--stat", base.commit, head) == ""
    git(clone, "merge-base", "--is-ancestor", waiting(world), base.commit)


def test_nothing_waits_after_a_squash_and_nothing_is_pushed(world: World) -> None:
    """A pull request without a change would be merged, and start the next execution for ever."""
    commit = world.push("candidate")
    protect(world)
    execution(world, "e1", commit)
    before = waiting(world)
    merged = merge(world, "--squash")
    world.evaluated("e2", merged, waits_in=BRANCH)
    assert world.promote("e2", waits_in=BRANCH).released_commit == merged
    assert waiting(world) == before


def test_a_branch_that_is_deleted_while_it_is_read_has_been_merged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = world.push("candidate")
    protect(world)
    execution(world, "e1", commit)
    merged = merge(world, "--squash")
    world.evaluated("e2", merged)
    real = Checkout._fetched

    def deleted_first(self: Checkout, branch: str, ref: str) -> str:
        if branch == BRANCH:
            git(world.remote, "update-ref", "-d", f"refs/heads/{BRANCH}")
        return real(self, branch, ref)

    monkeypatch.setattr(Checkout, "_fetched", deleted_first)
    assert world.promote("e2", waits_in=BRANCH).released_commit == merged


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_merged_and_deleted_while_the_head_is_read_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    commit = world.push("candidate")
    protect(world)
    execution(world, "e1", commit)
    clone = world.evaluated("e2", commit, waits_in=BRANCH)
    real = Checkout._fetched
    merged: list[str] = []

    def people_merge() -> None:
        merged.append(merge(world, "--squash"))
        git(world.remote, "update-ref", "-d", f"refs/heads/{BRANCH}")

    def fetched(self: Checkout, branch: str, ref: str) -> str:
        if branch != "main" or merged:
            return real(self, branch, ref)
        if when == "before":
            people_merge()
            return real(self, branch, ref)
        found = real(self, branch, ref)
        people_merge()
        return found

    monkeypatch.setattr(Checkout, "_fetched", fetched)
    world.promote("e2", waits_in=BRANCH)
    assert merged
    assert released(clone)["part-class"] == "1.2.0"
    assert check(PromptRepository(clone))[1] == []


def test_a_branch_of_somebody_elses_is_named_as_one(world: World) -> None:
    commit = world.push("candidate")
    git(world.author.root, "checkout", "--quiet", "--orphan", "other")
    git(world.author.root, "commit", "--quiet", "-m", "Unrelated")
    git(world.author.root, "push", "--quiet", "origin", f"HEAD:refs/heads/{BRANCH}")
    with pytest.raises(PromptHubError, match="has no commit in common") as raised:
        world.evaluated("e1", commit, waits_in=BRANCH)
    assert raised.value.exit_code is ExitCode.BLOCKED
    assert "Delete it" in (raised.value.hint or "")
