"""A stage whose service runs on the local AWS with a release activated, for commands about it.

The commands are real processes; a container is one of the local ECS.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdk_app.tasks import Task, drill_task
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import BucketResults
from prompt_hub.ledger.items import VersionState
from prompt_hub.ledger.table import Ledger
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.release.manifest import describe_promoted
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table, free_port
from tests.local_aws.rollback_lambda import put_score_alarm, rollback_function
from tests.unit.building import RepositoryFolder, build

STAGE = "dev"
RELEASE = "exec-1"
BUCKET = aws_names.results_bucket(ACCOUNT, REGION)
DRILL = aws_names.DRILL_TASK


@dataclass(frozen=True)
class Stage:
    """One stage with a release activated, its service running."""

    aws: LocalAws
    folder: RepositoryFolder
    port: int
    model: str = "http://127.0.0.1:9/v1"
    """Where the model answers; by default nobody does."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Of whoever runs the commands; by default the account itself, which may do everything."""
    limits: Mapping[str, object] = field(default_factory=dict)
    """Of the models."""

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.aws.client("dynamodb"), aws_names.ledger_table(STAGE))

    @property
    def variables(self) -> dict[str, str]:
        model = {"provider": "openai", "base_url": self.model, **self.limits}
        models = {
            "catalogue-pinned": {**model, "model": "small-model-2026-01"},
            "catalogue-latest": {**model, "model": "latest"},
        }
        return {
            **self.aws.environment,
            aws_names.ENV_STAGE: STAGE,
            aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(STAGE),
            aws_names.ENV_RESULTS_BUCKET: BUCKET,
            aws_names.ENV_RELEASE: RELEASE,
            aws_names.ENV_MODELS: json.dumps(models),
            aws_names.ENV_SERVICE_URL: f"http://127.0.0.1:{self.port}",
            aws_names.ENV_PORT: str(self.port),
            aws_names.ENV_POLL_SECONDS: "1",
        }

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen[str]:
        """Start a command in the tree."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        return subprocess.Popen(
            [sys.executable, "-m", "prompt_hub.cli", *words],
            cwd=self.folder.root,
            env={**inherited, **self.variables, **self.credentials},
            stdout=subprocess.PIPE if log is None else log.open("a"),
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command in the tree; its exit code must be `code`."""
        started = self.start(*words)
        said, _ = started.communicate(timeout=180)
        assert started.returncode == code, said
        return said

    def untouched(self) -> dict[str, object]:
        """What the ledger says of people's tasks."""
        return {
            task: (self.ledger.pointer(task), self.ledger.events(task))
            for task in ("brand", "part-class")
        }

    def put_back(self) -> bool:
        """Whether nothing of a drill is left that acts."""
        states = set(self.ledger.version_states(DRILL).values())
        return self.ledger.pointer(DRILL) is None and states == {VersionState.RELEASED}

    def put_alarm(self, *actions: str) -> None:
        """Make the drill's score alarm as the rollback stack has it."""
        put_score_alarm(self.aws, STAGE, DRILL, *actions)


def promoted(aws: LocalAws, folder: RepositoryFolder) -> None:
    """Write what Promote and Image would have written for a release."""
    results = BucketResults(aws.client("s3"), BUCKET)
    promotion = Promotion(
        schema_="prompt-hub/promotion@1",
        execution=RELEASE,
        commit="source",
        released_commit="released",
        tasks={},
        at=datetime.now(UTC),
    )
    results.put(aws_names.promotion_key(RELEASE), promotion.model_dump_json(by_alias=True))
    manifest = describe_promoted(folder.repository, results, RELEASE, [])
    results.put(aws_names.manifest_key(RELEASE), manifest.to_json())
    (folder.root / aws_names.RELEASE_FILE).write_text(manifest.to_json(), encoding="utf-8")


def service_on_ecs(stage: Stage) -> None:
    """Give ECS the service whose task definition the drill runs in; its process runs beside it."""
    files = {
        path.relative_to(stage.folder.root).as_posix(): path.read_text(encoding="utf-8")
        for path in stage.folder.root.rglob("*")
        if path.is_file() and ".prompt-hub" not in path.parts
    }
    ecs = stage.aws.client("ecs")
    ecs.create_cluster(clusterName=aws_names.cluster(STAGE))
    definition: dict[str, Any] = ecs.register_task_definition(
        family=aws_names.service(STAGE),
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/{aws_names.service(STAGE)}-task",
        executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/{aws_names.service(STAGE)}-execution",
        cpu="256",
        memory="512",
        containerDefinitions=[
            {
                "name": aws_names.CONTAINER,
                "image": stage.aws.build_image(RELEASE, files),
                "command": ["prompt-hub", "serve"],
                "environment": [
                    {"name": name, "value": value} for name, value in stage.variables.items()
                ],
            }
        ],
    )["taskDefinition"]
    ecs.create_service(
        cluster=aws_names.cluster(STAGE),
        serviceName=aws_names.service(STAGE),
        taskDefinition=definition["taskDefinitionArn"],
        desiredCount=0,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    )


@contextmanager
def running_stage(
    aws: LocalAws,
    folder: Path,
    *,
    tree: RepositoryFolder | None = None,
    model: str = Stage.model,
    limits: Mapping[str, object] | None = None,
    tasks: Sequence[Task] = (),
) -> Iterator[Stage]:
    """Make a stage, activate a release in it and serve it; `folder` takes what that leaves.

    Its rollback function looks at the drill's task and at `tasks`.
    """
    create_table(aws, aws_names.ledger_table(STAGE))
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    tree = tree or build(folder / "tree")
    promoted(aws, tree)
    made = Stage(aws, tree, free_port(), model=model, limits=limits or {})
    service_on_ecs(made)
    made.put_alarm(rollback_function(aws, folder / "function", STAGE, [drill_task(), *tasks]))
    said = made.run("activate", "--no-watch")
    assert DRILL not in said, "activation has nothing to do with it"
    service = made.start("serve", log=folder / "serve.log")
    try:
        yield made
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(60)
