"""The schedule of the score watch on the local AWS: one container measures what is due."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import ReleaseRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.manifest import load
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table, eventually
from tests.unit.building import RepositoryFolder, build, catalogue_answer
from tests.unit.service.fake_provider import FakeProvider, fake_provider

STAGE = "dev"
BUCKET = aws_names.results_bucket(ACCOUNT, REGION)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/test"
TASKS = ("brand", "maker", "part-class")


@dataclass(frozen=True)
class Watched:
    """A stage of three tasks, one of which asks a model that is broken."""

    aws: LocalAws
    definition: str
    healthy: FakeProvider
    broken: FakeProvider

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.aws.client("dynamodb"), aws_names.ledger_table(STAGE))

    def containers(self, rule: str) -> dict[str, int]:
        """Exit codes of the ended containers that a rule has started, by their ids."""
        ecs = self.aws.client("ecs")
        arns = ecs.list_tasks(
            cluster="watch", desiredStatus="STOPPED", startedBy=f"events-rule/{rule}"
        )["taskArns"]
        if not arns:
            return {}
        tasks = ecs.describe_tasks(cluster="watch", tasks=arns)["tasks"]
        return {
            task["taskArn"].rpartition("/")[2]: task["containers"][0]["exitCode"] for task in tasks
        }

    def log(self, container: str) -> str:
        path = self.aws.state / "logs" / "watch" / f"{container}-service.log"
        return path.read_text(encoding="utf-8")

    def heartbeats(self, task: str) -> int:
        found = self.aws.client("cloudwatch").list_metrics(
            Namespace=aws_names.metric_namespace(),
            MetricName=aws_names.METRIC_HEARTBEAT,
            Dimensions=[
                {"Name": aws_names.DIMENSION_STAGE, "Value": STAGE},
                {"Name": aws_names.DIMENSION_TASK, "Value": task},
            ],
        )
        return len(found["Metrics"])


def three_tasks(root: Path) -> RepositoryFolder:
    """The healthy tree and a third task, which asks another model than `brand` does."""
    folder = build(root)
    for name in ("00-templates/{}.yaml", "03-metadata/{}.yaml", "01-examples/{}.jsonl"):
        text = folder.read(f"prompts/{name.format('brand')}")
        text = text.replace("task: brand", "task: maker").replace("/brand.yaml", "/maker.yaml")
        text = text.replace("catalogue-latest", "catalogue-pinned")
        folder.write(f"prompts/{name.format('maker')}", text)
    folder.stamp("maker")
    folder.promote("maker")
    return folder


@pytest.fixture(scope="module")
def watched(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = three_tasks(tmp_path_factory.mktemp("tree"))
    files = {
        str(path.relative_to(folder.root)): path.read_text(encoding="utf-8")
        for path in folder.root.rglob("*")
        if path.is_file() and ".prompt-hub" not in path.parts
    }
    create_table(aws, aws_names.ledger_table(STAGE))
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    with fake_provider() as healthy, fake_provider() as broken:
        healthy.thinks = catalogue_answer
        broken.status = 400
        models = {
            alias: {"provider": "openai", "model": "small", "base_url": provider.url}
            for alias, provider in (("catalogue-pinned", healthy), ("catalogue-latest", broken))
        }
        environment = {
            **aws.environment,
            aws_names.ENV_STAGE: STAGE,
            aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(STAGE),
            aws_names.ENV_RESULTS_BUCKET: BUCKET,
            aws_names.ENV_MODELS: json.dumps(models),
        }
        ecs = aws.client("ecs")
        ecs.create_cluster(clusterName="watch")
        definition = ecs.register_task_definition(
            family="watch",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[
                {
                    "name": aws_names.CONTAINER,
                    "image": aws.build_image("r-1", files),
                    "command": ["prompt-hub", "serve"],
                    "environment": [
                        {"name": name, "value": value} for name, value in environment.items()
                    ],
                }
            ],
        )["taskDefinition"]["taskDefinitionArn"]
        made = Watched(aws, definition, healthy, broken)
        release = load(folder.root)
        for task in TASKS:
            active = release.tasks[task].versions[0].reference
            made.ledger.seed(
                task,
                active,
                previous=None,
                release=ReleaseRef(release=release.release, made_at="2026"),
                cause=Cause(by="test", reason="first", at="2026"),
            )
        yield made


def test_one_container_measures_all_that_is_due_though_one_task_fails(watched: Watched) -> None:
    events = watched.aws.client("events")
    # The expression that Synth writes for tasks that are measured every minute.
    events.put_rule(Name="watch-due", ScheduleExpression="cron(0/1 * * * ? *)")
    command = {"name": aws_names.CONTAINER, "command": ["prompt-hub", "watch", "--due"]}
    events.put_targets(
        Rule="watch-due",
        Targets=[
            {
                "Id": "watch",
                "Arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/watch",
                "RoleArn": ROLE,
                "Input": json.dumps({"containerOverrides": [command]}),
                "EcsParameters": {
                    "TaskDefinitionArn": watched.definition,
                    "LaunchType": "FARGATE",
                },
            }
        ],
    )
    ended = eventually(lambda: watched.containers("watch-due"), seconds=90, what="the container")
    events.disable_rule(Name="watch-due")
    ((container, code),) = ended.items()
    log = watched.log(container)
    assert code == 3, log
    assert "brand: not measured, " in log
    for task in ("maker", "part-class"):
        (sample,) = watched.ledger.samples(task, 5)
        assert sample.score == 1.0
        assert watched.heartbeats(task) == 1
    assert watched.ledger.samples("brand", 5) == ()
    assert watched.heartbeats("brand") == 0, "the freshness alarm is to hear of it"
