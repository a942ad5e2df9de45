"""The trace of a promotion: who made it, and where it begins in a task that began anew."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.promotion.states import Decision
from prompt_hub.promotion.transitions import downgrade
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from tests.unit.building import MADE_AT, catalogue_answer
from tests.unit.promotion.checkouts import World, git

pytestmark = pytest.mark.processes

AUTHOR = "Author <author@example.com>"
METADATA = "prompts/03-metadata/part-class.yaml"


@pytest.fixture(autouse=True)
def root(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(world.author.root))


def promotion_of(version: str, capsys: pytest.CaptureFixture[str]) -> JsonObject:
    capsys.readouterr()
    code = main(["trace", version, "--json"])
    (chain,) = json.loads(capsys.readouterr().out)["chains"]
    hop: JsonObject = next(hop for hop in chain["hops"] if hop["name"] == "promotion")
    assert (code is ExitCode.OK) == all(hop["state"] != "broken" for hop in chain["hops"])
    return hop


def promoter_of(version: str, capsys: pytest.CaptureFixture[str]) -> object:
    hop = promotion_of(version, capsys)
    assert hop["state"] == "verified", hop
    facts = hop["facts"]
    assert isinstance(facts, dict)
    return facts["by"]


def take_out(world: World, version: str, *, back_to: str) -> None:
    """Release an older version again, as somebody else than the author decides."""
    folder = world.author
    decision = Decision("ada", f"want {back_to} again")
    at = MADE_AT + timedelta(days=1)
    apply(folder.root, downgrade(folder.repository, "part-class", back_to, decision, at))
    world.push(f"Take out {version}")


def test_who_moves_a_version_later_has_not_promoted_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.push("released")
    world.author.promote("part-class")
    world.push("1.2.0")
    take_out(world, "1.2.0", back_to="1.0.0")
    for version in ("1.2.0", "1.0.0"):
        assert promoter_of(f"part-class@{version}", capsys) == AUTHOR


def wrong(messages: list[dict[str, str]]) -> JsonObject:
    """Answer every example wrong but those of resistors."""
    return {"part_class": "resistor"}


def test_who_insisted_on_a_version_has_promoted_it_whoever_moves_it_later(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.push("released")
    folder = world.author
    override = "override: {version: 1.2.0, person: grace, reason: a rescue in the night}\n"
    folder.write(METADATA, folder.read(METADATA) + override)
    folder.promote("part-class", wrong)
    world.push("1.2.0")
    assert promoter_of("part-class@1.2.0", capsys) == "grace"
    take_out(world, "1.2.0", back_to="1.1.0")
    assert promoter_of("part-class@1.2.0", capsys) == "grace"


OLD = tuple(
    f"prompts/{file}"
    for file in (
        "00-templates/brand.yaml",
        "01-examples/brand.jsonl",
        "03-metadata/brand.yaml",
        "02-production/brand.yaml",
        "04-evals/brand/1.0.0.json",
        "04-evals/brand/1.0.0.jsonl",
    )
)
PEOPLES = OLD[:3]


def remove_all(world: World) -> dict[str, str]:
    """Take a task out by a commit, and return the files that were people's."""
    folder = world.author
    kept = {name: folder.read(name) for name in PEOPLES}
    for name in OLD:
        folder.path(name).unlink()
    registry = folder.read("prompt_registry.yaml")
    start, end = registry.index("  brand:\n"), registry.index("  part-class:\n")
    folder.write("prompt_registry.yaml", registry[:start] + registry[end:])
    world.push("all of it is gone")
    return kept


@pytest.mark.parametrize("words", ["Which brand is", "Name the brand of"])
@pytest.mark.parametrize("tagged", [False, True])
def test_a_task_that_begins_anew_by_an_old_name_is_traced_from_there(
    world: World, words: str, tagged: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.author
    old = world.push("the old one")
    if tagged:
        git(folder.root, "tag", "brand/v1.0.0")
    for name, text in remove_all(world).items():
        folder.write(name, text.replace("Which brand is", words))
    folder.stamp("brand")
    commit = world.push("another task of that name")
    folder.promote("brand", catalogue_answer, commit=commit)
    released = world.push("its release")
    hop = promotion_of("brand@1.0.0", capsys)
    assert hop["state"] == "verified", hop["faults"]
    facts = hop["facts"]
    assert isinstance(facts, dict)
    assert facts["commit"] == released != old
    assert facts.get("tag", "") == ""


@pytest.mark.parametrize("lost", ["all of it", "its metadata"])
def test_a_task_that_was_brought_back_is_traced_to_its_release(
    world: World, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.author
    released = world.push("the release")
    git(folder.root, "tag", "brand/v1.0.0")
    if lost == "all of it":
        remove_all(world)
    else:
        folder.path("prompts/03-metadata/brand.yaml").unlink()
        world.push("without metadata")
    git(folder.root, "revert", "--no-edit", "HEAD")
    world.author.promote("part-class")
    world.push("something else")
    hop = promotion_of("brand@1.0.0", capsys)
    assert hop["state"] == "verified", hop["faults"]
    facts = hop["facts"]
    assert isinstance(facts, dict)
    assert (facts["commit"], facts["tag"]) == (released, released)
