"""What a release carries, read off a real small repository."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.gate.types import Status
from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRef
from prompt_hub.promotion.promoter import Promotion, TaskOutcome
from prompt_hub.release.carried import CarriedHashes, carried_prompts
from prompt_hub.release.manifest import (
    Release,
    build_manifest,
    describe_promoted,
    load,
    not_carried,
)
from prompt_hub.release.prune import prune
from tests.unit.building import RepositoryFolder

MADE_AT = datetime(2026, 11, 3, 10, tzinfo=UTC)
IGNORED = (Path(__file__).resolve().parents[3] / ".dockerignore").read_text("utf-8").splitlines()


def released(folder: RepositoryFolder, kept: int = 5, live: tuple[Pointer, ...] = ()) -> Release:
    return build_manifest(
        folder.repository,
        release="exec-1",
        commit="c0ffee",
        made_at=MADE_AT,
        live=live,
        kept=kept,
    )


def versions(release: Release, task: str) -> list[str]:
    return [version.version for version in release.tasks[task].versions]


def test_it_names_champions_and_archived_versions_with_hash_threshold_and_model(
    healthy: RepositoryFolder,
) -> None:
    release = released(healthy)
    assert versions(release, "part-class") == ["1.1.0", "1.0.0"]
    assert versions(release, "brand") == ["1.0.0"]
    champion = release.tasks["part-class"].version("1.1.0")
    production = healthy.repository.production("part-class")
    assert champion is not None
    assert production is not None
    assert (champion.sha256, champion.threshold) == (production.sha256, 0.7)
    assert champion.model.identity == "openai:small-model-2026-01"
    way_back = release.tasks["part-class"].way_back
    assert way_back is not None
    assert way_back.version == "1.0.0"
    assert release.tasks["brand"].way_back is None


def test_it_survives_the_file(healthy: RepositoryFolder) -> None:
    release = released(healthy)
    (healthy.root / aws_names.RELEASE_FILE).write_text(release.to_json(), encoding="utf-8")
    assert load(healthy.root) == release


def test_a_checkout_without_a_manifest_is_described_as_it_stands(
    healthy: RepositoryFolder,
) -> None:
    release = load(healthy.root)
    assert release.release == "checkout"
    assert release.tasks == released(healthy).tasks


def test_a_manifest_that_is_not_one_is_named(healthy: RepositoryFolder) -> None:
    (healthy.root / aws_names.RELEASE_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(PromptHubError, match=r"release\.json cannot be read"):
        load(healthy.root)


def test_only_the_newest_archived_versions_are_carried(healthy: RepositoryFolder) -> None:
    healthy.promote("part-class")
    assert versions(released(healthy), "part-class") == ["1.2.0", "1.1.0", "1.0.0"]
    assert versions(released(healthy, kept=1), "part-class") == ["1.2.0", "1.1.0"]
    assert versions(released(healthy, kept=0), "part-class") == ["1.2.0"]


def test_a_version_that_is_pinned_as_a_judge_is_carried_however_old(
    healthy: RepositoryFolder,
) -> None:
    metadata = "prompts/03-metadata/brand.yaml"
    healthy.write(metadata, healthy.read(metadata) + "judge: {task: part-class, version: 1.0.0}\n")
    assert versions(released(healthy, kept=0), "part-class") == ["1.1.0", "1.0.0"]


def test_a_quarantined_version_is_not_carried(healthy: RepositoryFolder) -> None:
    registry = healthy.read("prompt_registry.yaml")
    assert registry.count("state: superseded") == 1
    healthy.edit("prompt_registry.yaml", "state: superseded", "state: quarantined")
    release = released(healthy)
    assert versions(release, "part-class") == ["1.1.0"]
    assert release.tasks["part-class"].way_back is None


def live(active: VersionRef, previous: VersionRef | None = None) -> Pointer:
    return Pointer(
        task="part-class",
        active=active,
        previous=previous,
        frozen=True,
        revision=1,
        changed_by="ann",
        reason="supplier audit",
        at="2026",
        release=ReleaseRef(release="exec-0", made_at="2026"),
    )


def test_what_a_stage_has_live_is_carried_however_old(healthy: RepositoryFolder) -> None:
    first = released(healthy).tasks["part-class"]
    old, new = first.version("1.0.0"), first.version("1.1.0")
    assert old is not None
    assert new is not None
    healthy.promote("part-class")
    held = live(new.reference, old.reference)
    release = released(healthy, kept=0, live=(held,))
    assert versions(release, "part-class") == ["1.2.0", "1.1.0", "1.0.0"]
    assert not_carried(release, held) == []
    other = live(VersionRef(version="1.1.0", sha256="of another history"))
    assert versions(released(healthy, kept=0, live=(other,)), "part-class") == ["1.2.0"]
    assert not_carried(release, other) == ["part-class 1.1.0 active"]


def test_a_quarantined_version_is_carried_only_while_a_stage_has_it_active(
    healthy: RepositoryFolder,
) -> None:
    old = released(healthy).tasks["part-class"].version("1.0.0")
    new = released(healthy).tasks["part-class"].version("1.1.0")
    assert old is not None
    assert new is not None
    healthy.edit("prompt_registry.yaml", "state: superseded", "state: quarantined")
    active = live(old.reference)
    assert versions(released(healthy, live=(active,)), "part-class") == ["1.1.0", "1.0.0"]
    way_back = live(new.reference, old.reference)
    release = released(healthy, live=(way_back,))
    assert versions(release, "part-class") == ["1.1.0"]
    assert not_carried(release, way_back) == ["part-class 1.0.0 as its way back"]


def test_a_prompt_that_is_not_what_the_manifest_promises_stops_the_start(
    healthy: RepositoryFolder,
) -> None:
    release = released(healthy)
    assert set(carried_prompts(healthy.repository, CarriedHashes.of(release))) == {
        ("brand", "1.0.0"),
        ("part-class", "1.0.0"),
        ("part-class", "1.1.0"),
    }
    healthy.path("prompts/99-archive/part-class/1.0.0.yaml").unlink()
    with pytest.raises(PromptHubError, match=r"part-class 1\.0\.0 is missing"):
        carried_prompts(healthy.repository, CarriedHashes.of(release))


def test_a_registry_that_disagrees_with_the_layers_stops_the_image(
    healthy: RepositoryFolder,
) -> None:
    healthy.path("prompts/02-production/brand.yaml").unlink()
    with pytest.raises(PromptHubError, match=r"registry has 1\.0\.0 released"):
        released(healthy)


def test_pruning_leaves_what_the_manifest_names(healthy: RepositoryFolder) -> None:
    healthy.promote("part-class")
    release = released(healthy, kept=1)
    (healthy.root / aws_names.RELEASE_FILE).write_text(release.to_json(), encoding="utf-8")

    assert prune(healthy.root) == ["part-class 1.0.0"]
    assert set(carried_prompts(healthy.repository, CarriedHashes.of(release))) == {
        ("brand", "1.0.0"),
        ("part-class", "1.1.0"),
        ("part-class", "1.2.0"),
    }
    evaluated = {path.stem for path in healthy.path("prompts/04-evals/part-class").glob("*.json")}
    assert evaluated == {"1.1.0", "1.2.0"}, "what a file of records is foreseen by"


def test_pruning_leaves_a_quarantined_judge_that_no_pointer_may_go_to(
    healthy: RepositoryFolder,
) -> None:
    metadata = "prompts/03-metadata/brand.yaml"
    healthy.write(metadata, healthy.read(metadata) + "judge: {task: part-class, version: 1.0.0}\n")
    healthy.edit("prompt_registry.yaml", "state: superseded", "state: quarantined")
    release = released(healthy)
    assert versions(release, "part-class") == ["1.1.0"]
    (healthy.root / aws_names.RELEASE_FILE).write_text(release.to_json(), encoding="utf-8")

    assert prune(healthy.root) == []
    assert healthy.repository.version("part-class", "1.0.0") is not None
    evaluated = {path.stem for path in healthy.path("prompts/04-evals/part-class").glob("*.json")}
    assert evaluated == {"1.0.0", "1.1.0"}


@pytest.mark.parametrize(
    ("name", "there"),
    [("a/1.0.0.json", True), ("a/1.0.0.jsonl", False), ("a/reviews/1.0.0.json", False)],
)
def test_an_image_has_what_calls_have_taken_and_no_answers(name: str, there: bool) -> None:
    path = PurePosixPath("prompts/04-evals", name)
    patterns = [line for line in IGNORED if line.startswith("prompts/")]
    left_out = any(each.match(line) for each in (path, *path.parents) for line in patterns)
    assert left_out is not there


def test_what_an_execution_promoted_says_commit_and_time(
    healthy: RepositoryFolder, tmp_path: Path
) -> None:
    results = FolderResults(tmp_path / "results")
    with pytest.raises(PromptHubError, match="exec-1 has no promotion record"):
        describe_promoted(healthy.repository, results, "exec-1", ())

    results.put(aws_names.promotion_key("exec-1"), '{"schema": "prompt-hub/promotion@1"')
    with pytest.raises(PromptHubError, match=r"promotions/exec-1\.json:1:.*its Promote action"):
        describe_promoted(healthy.repository, results, "exec-1", ())

    def outcome(what: str) -> TaskOutcome:
        return TaskOutcome.model_validate(
            {
                "outcome": what,
                "version": "1.1.0",
                "status": Status.PASS,
                "remembered": False,
                "reasons": ["x"],
            }
        )

    promotion = Promotion(
        schema_="prompt-hub/promotion@1",
        execution="exec-1",
        commit="source",
        released_commit="released",
        tasks={"part-class": outcome("promoted"), "brand": outcome("unchanged")},
        at=MADE_AT,
    )
    results.put(aws_names.promotion_key("exec-1"), promotion.model_dump_json(by_alias=True))

    release = describe_promoted(healthy.repository, results, "exec-1", ())
    assert (release.commit, release.made_at) == ("released", MADE_AT)


def test_it_names_the_models_that_answered_at_the_gate(healthy: RepositoryFolder) -> None:
    champion, old = released(healthy).tasks["part-class"].versions
    assert champion.answered_by == old.answered_by == ("small-model-2026-01",)
    record = healthy.path("prompts/04-evals/part-class/1.1.0.json")
    record.write_text("{", encoding="utf-8")
    champion, old = released(healthy).tasks["part-class"].versions
    assert (champion.answered_by, old.answered_by) == ((), ("small-model-2026-01",))
    assert "answered_by" not in champion.model_dump(mode="json")
