"""Promotion inside the pipeline, on real git: bot layers only, races, overtaking executions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prompt_hub.cli.verdict import newly_refused
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.gate.types import Status
from prompt_hub.promotion.git_promotion import BOT_PATHS, Checkout
from prompt_hub.promotion.release_check import release_blocker
from prompt_hub.promotion.states import Decision
from prompt_hub.promotion.transitions import archive, downgrade
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import VersionState
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.check import check
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.promotion.checkouts import OTHER_MODEL, World, git
from tests.unit.providers import Backend

pytestmark = pytest.mark.processes


def bump_brand(folder: RepositoryFolder) -> None:
    folder.edit("prompts/00-templates/brand.yaml", "Which brand is", "Name the brand of")
    folder.bump("brand", "1.0.0", "1.1.0")


def test_a_bot_commit_on_the_head_touches_bot_layers_only(world: World) -> None:
    commit = world.push("candidate")
    clone = world.evaluated("e1", commit)
    promotion = world.promote("e1")
    assert promotion.tasks["part-class"].outcome == "promoted"
    assert promotion.tasks["brand"].outcome == "unchanged"
    assert world.head() == promotion.released_commit
    assert git(world.remote, "rev-parse", f"{world.head()}^") == commit
    changed = git(world.remote, "diff", "--name-only", commit, world.head()).splitlines()
    assert changed
    assert all(name.startswith(tuple(BOT_PATHS)) for name in changed)
    assert git(world.remote, "rev-parse", "refs/tags/part-class/v1.2.0") == world.head()
    # The working tree is the tree to release, and validates.
    released = PromptRepository(clone)
    champion = released.production("part-class")
    assert champion is not None
    assert champion.version == "1.2.0"
    assert check(released)[1] == []
    assert released.registry().tasks["part-class"].versions["1.1.0"].state is (
        VersionState.SUPERSEDED
    )


def resistor(messages: list[dict[str, str]]) -> JsonObject:
    """Answer every example wrong but those of resistors."""
    return {"part_class": "resistor"}


def test_a_refused_candidate_is_logged_and_a_known_refusal_makes_no_second_commit(
    world: World,
) -> None:
    commit = world.push("bad candidate")
    world.evaluated("e1", commit, resistor)
    first = world.promote("e1")
    assert first.tasks["part-class"].outcome == "refused"
    assert newly_refused(first.tasks["part-class"])
    head = world.head()
    entry = PromptRepository(world.folder / "e1").registry().tasks["part-class"]
    assert entry.released == "1.1.0"
    assert entry.versions["1.2.0"].state is VersionState.BLOCKED
    world.evaluated("e2", head, resistor)
    second = world.promote("e2")
    # Its digest is the same, so nothing was paid, nothing is red, nothing is committed.
    assert second.tasks["part-class"].remembered
    assert not newly_refused(second.tasks["part-class"])
    assert world.head() == head


def test_a_commit_names_no_refusal_that_an_earlier_one_has_logged(world: World) -> None:
    world.evaluated("e1", world.push("bad candidate"), resistor)
    world.promote("e1")
    assert git(world.remote, "log", "-1", "--format=%s").startswith("Log the refusal of part-class")
    git(world.author.root, "pull", "--quiet", "origin", "main")
    bump_brand(world.author)
    world.author.stamp("brand")
    world.evaluated("e2", world.push("brand"))
    assert world.promote("e2").tasks["part-class"].remembered
    subject = git(world.remote, "log", "-1", "--format=%s", world.head())
    assert subject == "Promote brand 1.1.0"


def test_a_refusal_of_which_nobody_heard_is_news_though_it_was_judged_before(world: World) -> None:
    """Its execution ended before Promote: the tests beside the evaluation were red."""

    commit = world.push("bad candidate")
    world.evaluated("e1", commit, resistor)
    world.evaluated("e2", commit, resistor)
    promotion = world.promote("e2")
    assert not promotion.tasks["part-class"].remembered
    assert newly_refused(promotion.tasks["part-class"])
    world.evaluated("e3", world.head(), resistor)
    assert not newly_refused(world.promote("e3").tasks["part-class"])


def test_a_refusal_names_who_changed_the_task_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada Lovelace")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ada@example.com")
    world.push("candidate")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace Hopper")
    world.author.write("README.md", "of somebody else\n")
    commit = world.push("something else")
    world.evaluated("e1", commit, lambda messages: {"part_class": "resistor"})
    tasks = world.promote("e1").tasks
    assert tasks["part-class"].outcome == "refused"
    assert tasks["part-class"].author == "Ada Lovelace <ada@example.com>"
    assert tasks["part-class"].champion == "1.1.0"
    assert tasks["brand"].author == ""


def two_pushes_evaluated(world: World) -> None:
    """Executions e1 and e2 of two pushes, each with a new candidate of another task."""
    first = world.push("part class")
    bump_brand(world.author)
    world.author.stamp("brand")
    second = world.push("brand")
    world.evaluated("e1", first)
    world.evaluated("e2", second)


def released(tree: PromptRepository) -> dict[str, str | None]:
    return {task: entry.released for task, entry in tree.registry().tasks.items()}


def test_overtaking_executions_lose_no_promotion(world: World) -> None:
    two_pushes_evaluated(world)
    world.promote("e2")
    late = world.promote("e1")
    assert late.tasks["part-class"].outcome == "released already"
    tree = PromptRepository(world.folder / "e1")
    assert released(tree) == {"brand": "1.1.0", "part-class": "1.2.0"}


def test_a_later_execution_promotes_on_top_of_the_bot_commit_it_has_not_seen(world: World) -> None:
    two_pushes_evaluated(world)
    world.promote("e1")
    later = world.promote("e2")
    assert later.tasks["part-class"].outcome == "released already"
    assert later.tasks["brand"].outcome == "promoted"
    tree = PromptRepository(world.folder / "e2")
    assert released(tree) == {"brand": "1.1.0", "part-class": "1.2.0"}
    assert check(tree)[1] == []


def test_a_push_between_fetch_and_push_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = world.push("candidate")
    world.evaluated("e1", commit)
    real = Checkout.commit_bot_layers
    raced: list[str] = []

    def racing(self: Checkout, parent: str, message: str) -> str:
        made = real(self, parent, message)
        if not raced:
            world.author.write("README.md", "someone else was faster\n")
            raced.append(world.push("human commit"))
        return made

    monkeypatch.setattr(Checkout, "commit_bot_layers", racing)
    world.promote("e1")
    assert git(world.remote, "rev-parse", f"{world.head()}^") == raced[0]
    assert "README.md" in git(world.remote, "ls-tree", "--name-only", world.head())


def test_a_champion_that_changed_meanwhile_is_not_replaced(world: World) -> None:
    commit = world.push("candidate")
    world.evaluated("e1", commit)
    template = "prompts/00-templates/catalogue-role.txt"
    world.author.write(template, "You know every electronic part.\n")
    world.author.bump("part-class", "1.2.0", "1.3.0")
    world.evaluated("e2", world.push("a later candidate"))
    world.promote("e2")
    late = world.promote("e1")
    assert late.tasks["part-class"].outcome == "champion changed"
    assert newly_refused(late.tasks["part-class"])
    registry = PromptRepository(world.folder / "e1").registry()
    assert registry.tasks["part-class"].released == "1.3.0"


def test_a_missing_record_promotes_nothing(world: World) -> None:
    commit = world.push("candidate")
    world.evaluated("e1", commit)
    git(world.folder, "clone", "--quiet", str(world.remote), "e9")
    with pytest.raises(PromptHubError, match="no evaluation record"):
        world.promote("e9")
    assert world.head() == commit


def test_a_version_taken_out_by_hand_does_not_come_back(world: World) -> None:
    world.evaluated("e1", world.push("candidate"))
    world.promote("e1")
    git(world.author.root, "pull", "--quiet", "origin", "main")
    repository = world.author.repository
    ada = Decision("Ada Lovelace", "wrong units")
    changes = downgrade(repository, "part-class", "1.1.0", ada, datetime.now(UTC))
    apply(world.author.root, changes)
    world.evaluated("e2", world.push("downgrade by hand"))
    promotion = world.promote("e2")
    assert promotion.tasks["part-class"].outcome == "taken out"
    registry = PromptRepository(world.folder / "e2").registry()
    assert registry.tasks["part-class"].released == "1.1.0"


def resistor_of_the_candidate(messages: list[dict[str, str]]) -> JsonObject:
    """Answer the candidate's question as `resistor` does, and the champion's right."""
    return (resistor if "You sort" in messages[0]["content"] else catalogue_answer)(messages)


@pytest.mark.parametrize("insisted", [False, True])
def test_a_refused_candidate_takes_no_place_of_a_version_that_is_archived_since(
    world: World, insisted: bool
) -> None:
    """It was the comparison that refused it, and with nothing released there is none."""
    metadata = "prompts/03-metadata/part-class.yaml"
    world.author.edit(metadata, "threshold: 0.7", "threshold: 0.1")
    world.evaluated("e1", world.push("a worse candidate"), resistor_of_the_candidate)
    assert world.promote("e1").tasks["part-class"].outcome == "refused"
    git(world.author.root, "pull", "--quiet", "origin", "main")
    ada, now = Decision("Ada Lovelace", "it names wrong classes"), datetime.now(UTC)
    apply(world.author.root, archive(world.author.repository, "part-class", ada, now))
    if insisted:
        override = "override: {version: 1.2.0, person: Ada, reason: better than nothing}\n"
        world.author.write(metadata, world.author.read(metadata) + override)
    world.evaluated("e2", world.push("out of service"), resistor_of_the_candidate)
    task = world.promote("e2").tasks["part-class"]
    assert task.status is Status.PASS
    released = PromptRepository(world.folder / "e2").registry().tasks["part-class"].released
    if insisted:
        assert (task.outcome, released) == ("promoted", "1.2.0")
        return
    assert (task.outcome, released, newly_refused(task)) == ("taken out", None, False)
    (reason,) = task.reasons
    found = evaluation_by(world.results, "e2", "part-class")
    assert found is not None
    assert release_blocker(PromptRepository(world.folder / "e2"), found.record) == reason
    assert reason.endswith("1.1.0 was archived since (it names wrong classes); raise the version")
    world.author.bump("part-class", "1.2.0", "1.3.0")
    world.evaluated("e3", world.push("written for it"), resistor_of_the_candidate)
    assert world.promote("e3").tasks["part-class"].outcome == "promoted"


def test_a_champion_that_qualifies_on_another_model_makes_no_tag_and_stops_nobody(
    world: World,
) -> None:
    world.evaluated("e1", world.push("candidate"))
    tagged = world.promote("e1").released_commit
    git(world.author.root, "pull", "--quiet", "origin", "main")
    bump_brand(world.author)
    world.author.stamp("brand")
    before = PromptRepository(world.author.root).registry().tasks["part-class"].versions["1.2.0"]
    clone = world.evaluated("e2", world.push("brand, on another model"), aliases=OTHER_MODEL)
    promotion = world.promote("e2")
    assert {task: outcome.outcome for task, outcome in promotion.tasks.items()} == {
        "brand": "promoted",
        "part-class": "requalified",
    }
    assert not any(map(newly_refused, promotion.tasks.values()))
    assert world.head() == promotion.released_commit
    assert git(world.remote, "rev-parse", "refs/tags/part-class/v1.2.0") == tagged
    assert git(world.remote, "rev-parse", "refs/tags/brand/v1.1.0") == world.head()
    subject = git(world.remote, "log", "-1", "--format=%s", world.head())
    assert subject == "Promote brand 1.1.0; requalify part-class 1.2.0"
    model = PromptRepository(clone).registry().tasks["part-class"].model
    assert model is not None
    assert model.identity == "openai:small-model-2026-09"
    # Measured anew is not decided anew: a person who moved a stage away from it is not overruled.
    after = PromptRepository(clone).registry().tasks["part-class"].versions["1.2.0"]
    assert (after.at, after.person) == (before.at, before.person)
    assert after.evaluation_sha256 != before.evaluation_sha256
    assert check(PromptRepository(clone))[1] == []
    # Its lock keeps the commit of its release, in the archive, too.
    git(world.author.root, "pull", "--quiet", "origin", "main")
    world.author.edit("prompts/00-templates/catalogue-role.txt", "You sort", "You put")
    world.author.bump("part-class", "1.2.0", "1.3.0")
    world.author.stamp("part-class")
    clone = world.evaluated("e3", world.push("the next version"), aliases=OTHER_MODEL)
    assert world.promote("e3").tasks["part-class"].outcome == "promoted"
    old, known = PromptRepository(clone).version("part-class", "1.2.0"), after.commit
    assert old is not None
    assert old.lock is not None
    assert old.lock.commit == before.commit != known
    assert check(PromptRepository(clone))[1] == []


@pytest.mark.parametrize("answer", [catalogue_answer, resistor])
def test_a_number_that_only_its_record_knows_is_not_released_again(
    world: World, answer: Backend
) -> None:
    folder = world.author
    folder.promote("part-class")
    kept = folder.read("prompts/04-evals/part-class/1.2.0.json")
    registry = "prompt_registry.yaml"
    # As a conflict may be resolved: the state before the release, but for the record.
    for file in ("02-production/part-class.yaml", "99-archive/part-class/1.1.0.yaml"):
        folder.path(f"prompts/{file}").unlink()
    folder.write(registry, "schema: prompt-hub/registry@1\ntasks: {}\n")
    template = "prompts/00-templates/part-class.yaml"
    folder.edit(template, "Part number: {{", "Number: {{")
    commit = world.push("other content under a number that was used")
    world.evaluated("e1", commit, answer)
    outcome = world.promote("e1").tasks["part-class"]
    assert outcome.outcome == "not allowed"
    assert "04-evals has it as released with other content" in outcome.reasons[0]
    released = PromptRepository(world.folder / "e1")
    assert (released.root / "prompts/04-evals/part-class/1.2.0.json").read_text("utf-8") == kept


def test_a_tag_that_somebody_made_by_hand_stays_and_stops_no_promotion(world: World) -> None:
    commit = world.push("candidate")
    git(world.author.root, "push", "--quiet", "origin", "HEAD:refs/tags/part-class/v1.2.0")
    world.evaluated("e1", commit)
    lines: list[str] = []
    promotion = world.promote("e1", lines.append)
    assert promotion.tasks["part-class"].outcome == "promoted"
    assert world.head() == promotion.released_commit != commit
    assert git(world.remote, "rev-parse", "refs/tags/part-class/v1.2.0") == commit
    assert "the tag part-class/v1.2.0 is there already and stays where it is" in lines


def test_a_tag_that_appears_between_looking_and_pushing_is_a_lost_race(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = world.push("candidate")
    world.evaluated("e1", commit)
    real = Checkout._tags_of_the_remote
    looks: list[frozenset[str]] = []

    def racing(self: Checkout) -> frozenset[str]:
        looks.append(real(self))
        if len(looks) == 1:
            git(world.author.root, "push", "--quiet", "origin", "HEAD:refs/tags/part-class/v1.2.0")
        return looks[-1]

    monkeypatch.setattr(Checkout, "_tags_of_the_remote", racing)
    world.promote("e1")
    assert looks == [frozenset(), frozenset({"part-class/v1.2.0"})]
    assert git(world.remote, "rev-parse", f"{world.head()}^") == commit


def test_a_push_that_the_remote_refuses_says_why(world: World) -> None:
    world.evaluated("e1", world.push("candidate"))
    hook = world.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    with pytest.raises(PromptHubError, match="could not be pushed") as raised:
        world.promote("e1")
    assert "hint:" not in raised.value.message
    assert world.results.get(aws_names.promotion_key("e1")) is None
