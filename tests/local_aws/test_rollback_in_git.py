"""A rollback on the local AWS: its event starts the pipeline, and Promote writes it into git."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdk_app.trigger import PATHS
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import BY_HAND, Event, ReleaseRef, VersionRef, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask, VersionState
from tests.local_aws.emulator import ACCOUNT, REGION, ROOT, LocalAws, create_table
from tests.local_aws.pipelines import PLAIN, Pipelines, Repository, build
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.building import build as build_tree
from tests.unit.service.fake_provider import fake_provider

TASK, BAD, GOOD = "part-class", "1.2.0", "1.1.0"
STAGES = ("first", "second")


@dataclass
class Released:
    """A repository whose version 1.2.0 is released and active in two stages, and its pipeline."""

    pipelines: Pipelines
    ledgers: dict[str, Ledger]

    @property
    def git(self) -> Repository:
        return self.pipelines.plain

    def head(self) -> str:
        self.git.git("fetch", "-q", "origin")
        return self.git.git("rev-parse", "origin/main")

    def registered(self) -> RegisteredTask:
        self.git.git("pull", "-q", "--rebase", "origin", "main")
        return PromptRepository(self.git.work).registry().tasks[TASK]

    def deliver(self, stage: str, event: Event) -> str:
        """Put the rollback's event on the bus as the Lambda does; the execution that it started."""
        known = {e["pipelineExecutionId"] for e in self.pipelines.executions(aws_names.pipeline())}
        detail = {"stage": stage, "task": TASK, **event.to_attributes()}
        entry = {
            "Source": aws_names.event_source(),
            "DetailType": aws_names.EVENT_ROLLED_BACK,
            "Detail": json.dumps(detail),
        }
        self.pipelines.aws.client("events").put_events(Entries=[entry])

        found = self.pipelines.started_by_event(aws_names.pipeline(), known)
        self.succeeded(found)
        return found

    def succeeded(self, found: str) -> None:
        """Wait for the end of an execution."""
        ended = self.pipelines.ended(aws_names.pipeline(), found, seconds=180)
        assert ended["status"] == "Succeeded", self.pipelines.actions(aws_names.pipeline(), found)


@pytest.fixture
def released(tmp_path: Path) -> Iterator[Released]:
    repository = Repository.make(tmp_path / "repository", {".gitignore": ".prompt-hub/\n"})
    folder = build_tree(repository.work)
    folder.promote(TASK)
    repository.push({})
    aws = LocalAws(state=tmp_path / "aws", repositories={PLAIN: repository.bare})
    aws.start()
    try:
        pipelines = Pipelines(aws, repository, repository)
        ledgers = {stage: _ledger(aws, stage, repository.work) for stage in STAGES}
        with fake_provider() as provider:
            provider.thinks = catalogue_answer
            _pipeline(pipelines, provider.url)
            yield Released(pipelines, ledgers)
    finally:
        aws.stop()


def _ledger(aws: LocalAws, stage: str, work: Path) -> Ledger:
    create_table(aws, aws_names.ledger_table(stage))
    ledger = Ledger(aws.client("dynamodb"), aws_names.ledger_table(stage))
    versions = PromptRepository(work).registry().tasks[TASK].versions
    now = timestamp(datetime.now(UTC))
    ledger.seed(
        TASK,
        VersionRef(version=BAD, sha256=versions[BAD].sha256),
        previous=VersionRef(version=GOOD, sha256=versions[GOOD].sha256),
        release=ReleaseRef(release="r-1", made_at=now),
        cause=Cause(by="pipeline", reason="release r-1", at=now),
    )
    return ledger


def _pipeline(pipelines: Pipelines, model_url: str) -> None:
    """Source, Evaluate and Promote as the product has them, started by the product's event."""
    aws = pipelines.aws
    bucket = aws_names.results_bucket(ACCOUNT, REGION)
    for name in (bucket, "plain-artifacts"):
        aws.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    python = f"PYTHONPATH={ROOT / 'pipeline_image'} {sys.executable} -m prompt_hub.cli"
    spec = {"env": {"git-credential-helper": "yes"}}
    pipelines.project("evaluate", f"{python} evaluate --record", **spec)
    pipelines.project("promote", f"{python} promote execution --push", **spec)
    model = {"provider": "openai", "base_url": model_url}
    models = {
        "catalogue-pinned": {**model, "model": "small-model-2026-01"},
        "catalogue-latest": {**model, "model": "latest"},
    }
    variables = {
        aws_names.ENV_EXECUTION: "#{codepipeline.PipelineExecutionId}",
        aws_names.ENV_RESULTS_BUCKET: bucket,
        aws_names.ENV_STAGES: ",".join((*STAGES, "never-deployed")),
        aws_names.ENV_BRANCH: "main",
        aws_names.ENV_MODELS: json.dumps(models),
    }
    first = pipelines.plain_pipeline(
        aws_names.pipeline(),
        ("Evaluate", [build("Evaluate", "evaluate", variables)]),
        ("Promote", [build("Promote", "promote", variables)]),
        clone=True,
        paths=PATHS,
    )
    assert pipelines.ended(aws_names.pipeline(), first, seconds=180)["status"] == "Succeeded"
    pipelines.start_on_rollback(aws_names.pipeline())


def _cause(by: str, code: str = "") -> Cause:
    return Cause(
        by=by, reason="it scores 0.41", at=timestamp(datetime.now(UTC)), code=code, evidence={}
    )


def test_a_rollback_reaches_git_in_one_commit_and_a_persons_undo_follows_it(
    released: Released,
) -> None:
    before = released.head()
    first = released.ledgers["first"]
    rolled_back = first.roll_back(TASK, seen=1, cause=_cause("rollback"))

    released.deliver("first", rolled_back)
    task = released.registered()
    assert task.released == GOOD
    assert task.versions[BAD].state is VersionState.QUARANTINED
    assert task.versions[BAD].person == "rollback (first)"
    assert released.git.git("rev-list", "--count", f"{before}..origin/main") == "1"
    assert released.git.git("log", "-1", "--format=%an %s", "origin/main") == (
        f"prompt-hub Roll back {TASK} {BAD}"
    )

    # The same event once more: EventBridge promises at least one delivery, not one.
    committed = released.head()
    released.deliver("first", rolled_back)
    assert released.head() == committed

    # A person takes it back in the stage; git follows with whatever execution comes next.
    versions = task.versions
    undone = first.activate(
        TASK,
        VersionRef(version=BAD, sha256=versions[BAD].sha256),
        seen=rolled_back.revision,
        release=ReleaseRef(release="r-1", made_at=timestamp(datetime.now(UTC))),
        cause=_cause("Ada", BY_HAND),
        override=True,
    )
    released.deliver("first", undone)
    task = released.registered()
    assert (task.released, task.versions[BAD].person) == (BAD, "Ada")
    assert task.versions[GOOD].state is VersionState.SUPERSEDED


def test_a_repaired_version_pushed_before_git_knows_is_held_against_what_is_active(
    released: Released,
) -> None:
    before = released.head()
    # Its event is lost: the push is the first that the pipeline hears.
    released.ledgers["second"].roll_back(TASK, seen=1, cause=_cause("rollback"))
    author = RepositoryFolder(released.git.work)
    author.write("prompts/00-templates/catalogue-role.txt", "You name the class of each part.\n")
    author.bump(TASK, BAD, "1.3.0")
    author.stamp(TASK)
    released.git.git("commit", "-qam", "Mend the part classes")
    released.git.git("push", "-q", "origin", "HEAD:main")
    pushed = released.git.git("rev-parse", "HEAD")
    released.succeeded(released.pipelines.started_by(aws_names.pipeline(), pushed))

    task = released.registered()
    assert task.released == "1.3.0"
    assert task.versions[BAD].person == "rollback (second)"
    assert released.git.git("rev-list", "--count", f"{before}..origin/main") == "2"
    assert released.git.git("log", "-1", "--format=%s", "origin/main") == (
        f"Roll back {TASK} {BAD}; promote {TASK} 1.3.0"
    )
    record = released.git.git("show", f"origin/main:prompts/04-evals/{TASK}/1.3.0.json")
    assert json.loads(record)["champion"]["version"] == GOOD
