"""The image step with a `docker` on the path that writes down what it was asked."""

from __future__ import annotations

import argparse
import base64
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from prompt_hub.cli import image as command
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.ledger.items import ReleaseRef, VersionRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.release.image_record import ImageRecord
from prompt_hub.release.manifest import load, load_manifest
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

URI = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/prompt-hub"
DOCKER = """#!/bin/sh
printf '%s|%s|' "$PWD" "$*" >> "{log}"
if [ "$1" = login ]; then cat >> "{log}"; fi
if [ "$1" = build ]; then cp release.json "{context}"; fi
echo >> "{log}"
[ "$1" != "{fails}" ]
"""


DIGEST = "sha256:" + "a" * 64


class FakeRegistry:
    """ECR with the images that a test puts there."""

    tags: frozenset[str] = frozenset()

    def batch_get_image(
        self,
        *,
        repositoryName: str,  # noqa: N803
        imageIds: list[dict[str, str]],  # noqa: N803
    ) -> dict[str, Any]:
        assert repositoryName == "prompt-hub"
        found = [imageId for imageId in imageIds if imageId["imageTag"] in self.tags]
        return {"images": [{"imageId": {**name, "imageDigest": DIGEST}} for name in found]}

    def get_authorization_token(self) -> dict[str, Any]:
        token = base64.b64encode(b"AWS:secret-token").decode()
        return {"authorizationData": [{"authorizationToken": token}]}


@dataclass
class FakeAWS:
    """The clients that the command asks for; a ledger's table is there once a test makes it."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    tables: dict[str, FakeDynamoDB] = field(default_factory=dict)

    def client(self, service: str, config: object = None) -> object:
        return self.registry if service == "ecr" else self

    @property
    def exceptions(self) -> SimpleNamespace:
        return SimpleNamespace(ResourceNotFoundException=KeyError)

    def query(self, **request: Any) -> dict[str, Any]:
        return self.tables[request["TableName"]].query(**request)

    def ledger(self, stage: str) -> Ledger:
        return ledger_on(self.tables.setdefault(aws_names.ledger_table(stage), FakeDynamoDB()))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAWS:
    aws = FakeAWS()
    monkeypatch.setattr(boto3, "client", aws.client)
    return aws


@pytest.fixture
def registry(aws: FakeAWS) -> FakeRegistry:
    return aws.registry


@pytest.fixture
def tree(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A promoted tree as the working directory, with the record of its promotion."""
    monkeypatch.chdir(healthy.root)
    monkeypatch.delenv(aws_names.ENV_RESULTS_BUCKET, raising=False)
    promotion = Promotion(
        schema_="prompt-hub/promotion@1",
        execution="exec-1",
        commit="source",
        released_commit="released",
        tasks={},
        at=datetime(2026, 11, 3, 10, tzinfo=UTC),
    )
    results = FolderResults(healthy.root / ".prompt-hub" / "results")
    results.put(aws_names.promotion_key("exec-1"), promotion.model_dump_json(by_alias=True))
    return healthy.root


def context(tmp_path: Path) -> Path:
    """Where the recording `docker` keeps the manifest that a build was given."""
    return tmp_path / "context"


def with_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str = "nothing") -> Path:
    """Put the recording `docker` first on the path; returns its log."""
    log = tmp_path / "docker.log"
    folder = tmp_path / "bin"
    folder.mkdir()
    context(tmp_path).mkdir()
    program = folder / "docker"
    script = DOCKER.format(log=log, context=context(tmp_path), fails=fails)
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log


def image(**given: object) -> argparse.Namespace:
    defaults: dict[str, object] = {
        "release": "exec-1",
        "repository_uri": URI,
        "stages": "dev,prod",
        "base_image": None,
        "local": False,
        "notes": None,
    }
    return argparse.Namespace(**{**defaults, **given})


@pytest.mark.processes
@pytest.mark.usefixtures("registry")
def test_it_builds_and_pushes_the_release_under_its_own_id(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = with_docker(tmp_path, monkeypatch)
    assert command.run(image()) == 0

    assert log.read_text(encoding="utf-8").splitlines() == [
        f"{tree}|login --username AWS --password-stdin "
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com|secret-token",
        f"{tree}|build --tag {URI}:exec-1 --file pipeline_image/Dockerfile "
        "--build-arg RELEASE=exec-1 .|",
        f"{tree}|push {URI}:exec-1|",
    ]
    release = load(context(tmp_path))
    assert (release.release, release.commit) == ("exec-1", "released")
    assert [version.version for version in release.tasks["part-class"].versions] == [
        "1.1.0",
        "1.0.0",
    ]


def results_of(tree: Path) -> FolderResults:
    return FolderResults(tree / ".prompt-hub" / "results")


@pytest.mark.processes
def test_it_carries_what_any_stage_has_live_and_writes_down_what_it_carries(
    healthy: RepositoryFolder,
    tree: Path,
    aws: FakeAWS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stage `prod` stands at 1.1.0 while git has released six versions since."""
    with_docker(tmp_path, monkeypatch)
    archived = {prompt.version: prompt for prompt in healthy.repository.archived("part-class")}
    champion = healthy.repository.production("part-class")
    assert champion is not None
    for minor in range(2, 8):
        healthy.promote("part-class")
        role = f"You sort electronic parts, {minor}.\n"
        healthy.write("prompts/00-templates/catalogue-role.txt", role)
        healthy.bump("part-class", f"1.{minor}.0", f"1.{minor + 1}.0")
    aws.ledger("prod").seed(
        "part-class",
        VersionRef(version="1.1.0", sha256=champion.sha256),
        previous=VersionRef(version="1.0.0", sha256=archived["1.0.0"].sha256),
        release=ReleaseRef(release="exec-0", made_at="2026"),
        cause=Cause(by="pipeline", reason="first", at="2026"),
    )
    aws.ledger("prod").seed(
        "brand",
        VersionRef(version="0.1.0", sha256="of a rewritten history"),
        previous=None,
        release=ReleaseRef(release="exec-0", made_at="2026"),
        cause=Cause(by="pipeline", reason="first", at="2026"),
    )

    assert command.run(image()) == 0

    release = load(context(tmp_path))
    kept = [version.version for version in release.tasks["part-class"].versions]
    assert kept == ["1.7.0", *(f"1.{minor}.0" for minor in (6, 5, 4, 3, 2)), "1.1.0", "1.0.0"]
    assert load_manifest(results_of(tree), "exec-1") == release
    message = capsys.readouterr().out
    assert "stage dev has no ledger yet" in message
    assert "WARNING: stage prod has brand 0.1.0 active, and this image cannot carry it" in message


@pytest.mark.processes
def test_it_knows_what_a_stage_has_rolled_back_although_git_does_not_yet(
    healthy: RepositoryFolder,
    tree: Path,
    aws: FakeAWS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_docker(tmp_path, monkeypatch)
    versions = healthy.repository.registry().tasks["part-class"].versions
    bad, good = (
        VersionRef(version=number, sha256=versions[number].sha256) for number in ("1.1.0", "1.0.0")
    )
    first = Cause(by="pipeline", reason="first", at="2026-11-03T09:00:00.000000Z")
    harm = Cause(by="rollback", reason="it scored 0.4", at="2026-11-27T09:00:00.000000Z")
    release = ReleaseRef(release="exec-0", made_at=first.at)
    ledger = aws.ledger("prod")
    event = ledger.seed("part-class", bad, previous=good, release=release, cause=first)
    ledger.roll_back("part-class", seen=event.revision, cause=harm)

    assert command.run(image()) == 0

    made = load(context(tmp_path))
    assert list(made.quarantined["part-class"]) == ["1.1.0"]
    assert made.quarantined["part-class"]["1.1.0"].by == "rollback (prod)"
    assert made.tasks["part-class"].champion == "1.1.0"
    assert made.snapshot()["part-class"] == good


@pytest.mark.processes
def test_it_notes_what_the_release_would_change_in_each_stage(
    healthy: RepositoryFolder,
    tree: Path,
    aws: FakeAWS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the image is there already: a retry must not end in an empty approval."""
    with_docker(tmp_path, monkeypatch)
    brand = healthy.repository.production("brand")
    assert brand is not None
    first = ReleaseRef(release="exec-0", made_at="2026")
    cause = Cause(by="pipeline", reason="first", at="2026")
    for task, active in (
        ("brand", VersionRef(version="1.0.0", sha256=brand.sha256)),
        ("part-class", VersionRef(version="1.0.0", sha256="other")),
    ):
        aws.ledger("dev").seed(task, active, previous=None, release=first, cause=cause)
    for retried in (False, True):
        notes = tmp_path / f"notes-{retried}"
        assert command.run(image(notes=notes)) == 0
        assert {path.name: path.read_text(encoding="utf-8") for path in notes.iterdir()} == {
            "commit": "released",
            "dev": "part-class 1.0.0 -> 1.1.0 (1.000, threshold 0.700)",
            "prod": "brand 1.0.0 (1.000, threshold 0.700), the first here; "
            "part-class 1.1.0 (1.000, threshold 0.700), the first here",
        }
        aws.registry.tags = frozenset({"exec-1"})


def test_no_image_is_built_without_a_task_that_is_active_in_a_stage(
    healthy: RepositoryFolder,
    tree: Path,
    aws: FakeAWS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its containers would never be ready there, and Activate, which retires it, comes later."""
    log = with_docker(tmp_path, monkeypatch)
    ledger, first = aws.ledger("dev"), ReleaseRef(release="exec-0", made_at="2026")
    cause = Cause(by="pipeline", reason="first", at="2026")
    for task in ("gone", "retired", aws_names.DRILL_TASK):
        active = VersionRef(version="2.0.0", sha256="other")
        event = ledger.seed(task, active, previous=None, release=first, cause=cause)
        if task == "retired":
            ledger.retire(task, seen=event.revision, release=first, cause=cause)

    with pytest.raises(PromptHubError) as raised:
        command.run(image())

    assert raised.value.exit_code is ExitCode.BLOCKED
    assert raised.value.message == "git has nothing left of what is active: gone 2.0.0 in dev."
    assert "prompt-hub promote archive TASK" in raised.value.hint
    assert not log.exists()
    with pytest.raises(PromptHubError, match="exec-1 has no manifest"):
        load_manifest(results_of(tree), "exec-1")


@pytest.mark.processes
def test_an_image_that_was_not_built_leaves_no_manifest(
    tree: Path, aws: FakeAWS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_docker(tmp_path, monkeypatch, "build")
    with pytest.raises(PromptHubError, match="was not built"):
        command.run(image())
    with pytest.raises(PromptHubError, match="exec-1 has no manifest"):
        load_manifest(results_of(tree), "exec-1")


@pytest.mark.usefixtures("aws", "tree")
def test_which_stages_there_are_must_be_said() -> None:
    with pytest.raises(PromptHubError, match="--stages is missing"):
        command.run(image(stages=None))


def test_an_image_that_is_there_already_is_success_without_docker(
    tree: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.tags = frozenset({"exec-1"})
    monkeypatch.setenv("PATH", "/nonexistent")
    assert command.run(image()) == 0
    assert not (tree / aws_names.RELEASE_FILE).exists()


@pytest.mark.processes
def test_a_retry_notes_which_image_was_pushed_and_never_changes_that(
    tree: Path, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_docker(tmp_path, monkeypatch)
    assert command.run(image()) == 0
    results, key = results_of(tree), aws_names.image_key("exec-1")
    assert results.get(key) is None  # the registry has nothing yet: killed before it was noted
    registry.tags = frozenset({"exec-1"})
    assert command.run(image()) == 0
    noted = ImageRecord.model_validate_json(results.get(key) or "")
    assert (noted.digest, noted.commit) == (DIGEST, "released")
    assert noted.image == f"{URI}:exec-1"
    monkeypatch.setattr(registry, "tags", frozenset({"exec-1", "exec-2"}))
    before = results.get(key)
    assert command.run(image()) == 0
    assert results.get(key) == before


@pytest.mark.processes
@pytest.mark.usefixtures("registry", "tree")
@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("login", "refused the login"),
        ("build", "was not built"),
        ("push", "was not pushed"),
    ],
)
def test_each_failure_of_docker_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, words: str
) -> None:
    with_docker(tmp_path, monkeypatch, fails)
    with pytest.raises(PromptHubError, match=words) as raised:
        command.run(image())
    assert "secret-token" not in str(raised.value)


@pytest.mark.processes
@pytest.mark.usefixtures("registry", "tree")
def test_a_missing_docker_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(PromptHubError, match="docker is not installed here"):
        command.run(image())


@pytest.mark.usefixtures("registry", "tree")
def test_a_release_without_a_promotion_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = with_docker(tmp_path, monkeypatch)
    with pytest.raises(PromptHubError, match="exec-2 has no promotion record"):
        command.run(image(release="exec-2"))
    assert not log.exists()


@pytest.mark.processes
def test_a_local_build_needs_no_registry(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = with_docker(tmp_path, monkeypatch)
    arguments = image(local=True, release=None, repository_uri=None, base_image="stand-in:1")
    assert command.run(arguments) == 0
    assert log.read_text(encoding="utf-8").splitlines() == [
        f"{tree}|build --tag prompt-hub:local --file pipeline_image/Dockerfile "
        "--build-arg RELEASE=local --build-arg BASE_IMAGE=stand-in:1 .|"
    ]
    assert load(context(tmp_path)).release == "local"


@pytest.mark.processes
@pytest.mark.parametrize("fails", ["nothing", "build"])
def test_a_clone_is_described_as_it_stands_after_a_build(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    with_docker(tmp_path, monkeypatch, fails)
    with suppress(PromptHubError):
        command.run(image(local=True, release=None))
    assert (context(tmp_path) / aws_names.RELEASE_FILE).exists()
    assert load(tree).release == "checkout"
