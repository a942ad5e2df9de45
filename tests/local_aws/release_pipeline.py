"""A pipeline that takes a push to two stages with the product's own commands, and the stages.

Every action is a build or a stack as in the real pipeline; only the installation is left out. A
stage has a ledger, a service on ECS behind a balancer, a score alarm and the rollback function.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk_app.tasks import read_tasks
from cdk_app.trigger import PATHS
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import BucketResults
from prompt_hub.ledger.table import Ledger
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask
from tests.local_aws.emulator import ACCOUNT, REGION, ROOT, LocalAws, eventually
from tests.local_aws.pipelines import PLAIN, Pipelines, Repository, action, build
from tests.local_aws.rollback_lambda import put_score_alarm, rollback_function
from tests.local_aws.stage_commands import RECORD
from tests.unit.building import RepositoryFolder

STAGES = ("dev", "prod")
TASK = "part-class"
GATE = "Gate"
BUILT_SECONDS = 240
"""How long an execution may take on a machine that has other work."""
_HUB = f"PYTHONPATH={ROOT / 'pipeline_image'} {sys.executable} -m prompt_hub.cli"
_TEMPLATE = "stage.json"


def _bucket() -> str:
    return aws_names.results_bucket(ACCOUNT, REGION)


def _uri() -> str:
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{aws_names.image_repository()}"


@dataclass(frozen=True)
class Release:
    """The author's repository, the pipeline that releases it, and both stages."""

    pipelines: Pipelines
    models: str

    @property
    def aws(self) -> LocalAws:
        return self.pipelines.aws

    @property
    def git(self) -> Repository:
        return self.pipelines.plain

    @property
    def author(self) -> RepositoryFolder:
        return RepositoryFolder(self.git.work)

    @property
    def results(self) -> BucketResults:
        return BucketResults(self.aws.client("s3"), _bucket())

    def ledger(self, stage: str) -> Ledger:
        return Ledger(self.aws.client("dynamodb"), aws_names.ledger_table(stage))

    def pull(self) -> RegisteredTask:
        """Give the author what the remote has; what git says of the task."""
        self.git.git("pull", "-q", "--rebase", "origin", "main")
        return PromptRepository(self.git.work).registry().tasks[TASK]

    # --- The pipeline ----------------------------------------------------------------------------

    def create(self) -> str:
        """Make pipeline and stages; returns the execution that the creation starts."""
        self.aws.client("ecr").create_repository(repositoryName=aws_names.image_repository())
        for name in (_bucket(), "plain-artifacts"):
            self.aws.client("s3").create_bucket(
                Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        for stage in STAGES:
            self._watched(stage)
        first = self.pipelines.plain_pipeline(
            aws_names.pipeline(), *self._stages(), clone=True, paths=PATHS
        )
        self.pipelines.start_on_rollback(aws_names.pipeline())
        return first

    def _stages(self) -> list[tuple[str, list[dict[str, Any]]]]:
        spec = {"env": {"git-credential-helper": "yes"}}
        self.pipelines.project("evaluate", f"{_HUB} evaluate --record", **spec)
        leave_behind = "rm -rf .git .prompt-hub"
        self.pipelines.project(
            "promote",
            f"{_HUB} promote execution --push",
            leave_behind,
            artifacts={"files": ["**/*"]},
            **spec,
        )
        # Containers run in this environment: nothing is installed here.
        self.pipelines.project("image", f"LOCAL_AWS_ENVIRONMENT={sys.prefix} {_HUB} image")
        self.pipelines.project("activate", f"{_HUB} activate --no-watch")
        variables = {
            aws_names.ENV_INSTALLATION: aws_names.installation(),
            aws_names.ENV_EXECUTION: "#{codepipeline.PipelineExecutionId}",
            aws_names.ENV_RELEASE: "#{codepipeline.PipelineExecutionId}",
            aws_names.ENV_RESULTS_BUCKET: _bucket(),
            aws_names.ENV_STAGES: ",".join(STAGES),
            aws_names.ENV_BRANCH: "main",
            aws_names.ENV_MODELS: self.models,
            aws_names.ENV_REPOSITORY_URI: _uri(),
        }
        released = {"inputs": ["Released"]}
        first, second = STAGES
        return [
            ("Evaluate", [build("Evaluate", "evaluate", variables)]),
            ("Promote", [build("Promote", "promote", variables, outputs=["Released"])]),
            ("Image", [build("Image", "image", variables, **released)]),
            (first, self._deployment(first, variables)),
            (GATE, [action("Approve", ("Approval", "Manual"))]),
            (second, self._deployment(second, variables, earlier=first)),
        ]

    def _deployment(
        self, stage: str, variables: dict[str, str], earlier: str = ""
    ) -> list[dict[str, Any]]:
        stack = {
            "ActionMode": "CREATE_UPDATE",
            "StackName": f"stage-{stage}",
            "TemplatePath": f"Released::{_TEMPLATE}",
            "ParameterOverrides": json.dumps(
                {"Stage": stage, "Release": "#{codepipeline.PipelineExecutionId}"}
            ),
        }
        here = {
            aws_names.ENV_STAGE: stage,
            aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(stage),
            aws_names.ENV_EARLIER_STAGES: earlier,
        }
        return [
            action("Deploy", ("Deploy", "CloudFormation"), stack, inputs=["Released"]),
            build("Activate", "activate", variables | here, inputs=["Released"], order=2),
        ]

    def pushed(self, message: str) -> str:
        """Push what the author changed; returns the execution that this started."""
        self.git.git("add", ".")
        self.git.git("commit", "-q", "-m", message)
        self.git.git("push", "-q", "origin", "HEAD:main")
        return self.pipelines.started_by(aws_names.pipeline(), self.git.git("rev-parse", "HEAD"))

    def reached_gate(self, execution: str) -> None:
        """Wait until the first stage has the release and an approval is asked for."""

        def waits() -> bool:
            state = self.pipelines.execution(aws_names.pipeline(), execution)["status"]
            assert state == "InProgress", self.said(execution)
            return (
                self.pipelines.actions(aws_names.pipeline(), execution).get("Approve") is not None
            )

        eventually(waits, seconds=BUILT_SECONDS, every=0.3, what=f"the approval of {execution}")

    def approve(self, execution: str) -> None:
        """Let a release into the second stage, and wait until it is there."""
        self.reached_gate(execution)
        self.pipelines.approve(aws_names.pipeline(), execution)
        ended = self.pipelines.ended(aws_names.pipeline(), execution, seconds=BUILT_SECONDS)
        assert ended["status"] == "Succeeded", self.said(execution)

    def said(self, execution: str, stage: str | None = None, name: str | None = None) -> str:
        """Return what the execution's builds printed, or those of one stage or of one name."""
        details = self.pipelines.api.list_action_executions(
            pipelineName=aws_names.pipeline(), filter={"pipelineExecutionId": execution}
        )["actionExecutionDetails"]
        found = []
        for detail in reversed(details):
            result = detail.get("output", {}).get("executionResult", {})
            project, _, number = result.get("externalExecutionId", "").partition(":")
            log = self.aws.state / "logs" / "codebuild" / project / f"{number}.log"
            if stage in (None, detail["stageName"]) and name in (None, detail["actionName"]):
                summary = result.get("externalExecutionSummary", "")
                found.append(f"{detail['stageName']} {detail['actionName']} {summary}")
                found.append(log.read_text(encoding="utf-8") if number and log.exists() else "")
        return "\n".join(found)

    # --- A stage ---------------------------------------------------------------------------------

    def _watched(self, stage: str) -> None:
        """Make the rollback function of a stage and the score alarm that calls it."""
        folder = self.aws.state / f"function-{stage}"
        function = rollback_function(self.aws, folder, stage, read_tasks(self.git.work))
        put_score_alarm(self.aws, stage, TASK, function)

    def watch(self, stage: str) -> str:
        """Measure the active version of the task once, in a container of the stage."""
        return self.command("watch", TASK, "--stage", stage, "--now", "--wait")

    def command(self, *words: str) -> str:
        """Run a command as a person does; it must end with 0."""
        # The clone's cdk.json says what the installation is called.
        left_out = ("AWS_", aws_names.ENV_INSTALLATION)
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(left_out)
        }
        done = subprocess.run(
            [sys.executable, "-m", "prompt_hub.cli", *words],
            cwd=self.git.work,
            env={**inherited, **self.aws.environment, aws_names.ENV_RESULTS_BUCKET: _bucket()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def answering(self, stage: str) -> str | None:
        """Return the version that the stage's service answers with, None where it has none.

        Where the active version is too bad to be answered with, the error's code is returned.
        """
        stacks = self.aws.client("cloudformation").describe_stacks(StackName=f"stage-{stage}")
        outputs = {
            item["OutputKey"]: item["OutputValue"] for item in stacks["Stacks"][0]["Outputs"]
        }
        request = urllib.request.Request(
            f"{outputs['Url']}/v1/tasks/{TASK}/run", data=json.dumps({"fields": RECORD}).encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return str(json.loads(answer.read())["version"])
        except urllib.error.HTTPError as error:
            code = str(json.loads(error.read())["error"]["code"])
            return None if code == "not_active" else code

    def serves(self, stage: str, version: str | None) -> None:
        """Wait until the service of a stage answers with a version."""
        eventually(
            lambda: self.answering(stage) == version, seconds=30, what=f"{version} in {stage}"
        )


def stage_template(models: str) -> str:
    """Return a stage's stack: ledger, cluster and service, as far as the release needs them."""
    environment = {
        aws_names.ENV_INSTALLATION: aws_names.installation(),
        aws_names.ENV_STAGE: {"Ref": "Stage"},
        aws_names.ENV_LEDGER_TABLE: {"Fn::Sub": aws_names.ledger_table("${Stage}")},
        aws_names.ENV_RELEASE: {"Ref": "Release"},
        aws_names.ENV_RESULTS_BUCKET: _bucket(),
        aws_names.ENV_MODELS: models,
        aws_names.ENV_POLL_SECONDS: "0.3",
    }
    keys = (aws_names.LEDGER_PARTITION_KEY, aws_names.LEDGER_SORT_KEY)
    container = {
        "Name": aws_names.CONTAINER,
        "Image": {"Fn::Sub": f"{_uri()}:${{Release}}"},
        "Command": ["prompt-hub", "serve"],
        "Essential": True,
        "PortMappings": [{"ContainerPort": aws_names.CONTAINER_PORT}],
        "Environment": [{"Name": name, "Value": value} for name, value in environment.items()],
    }
    resources = {
        "Ledger": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": {"Fn::Sub": aws_names.ledger_table("${Stage}")},
                "AttributeDefinitions": [
                    {"AttributeName": key, "AttributeType": "S"} for key in keys
                ],
                "KeySchema": [
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
                ],
                "BillingMode": "PAY_PER_REQUEST",
            },
        },
        "Cluster": {
            "Type": "AWS::ECS::Cluster",
            "Properties": {"ClusterName": {"Fn::Sub": aws_names.cluster("${Stage}")}},
        },
        "Definition": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "Family": {"Fn::Sub": aws_names.service("${Stage}")},
                "NetworkMode": "awsvpc",
                "RequiresCompatibilities": ["FARGATE"],
                "Cpu": "256",
                "Memory": "512",
                "ContainerDefinitions": [container],
            },
        },
        "Balancer": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Scheme": "internal", "Type": "application"},
        },
        "Group": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {
                "Port": 80,
                "Protocol": "HTTP",
                "TargetType": "ip",
                "HealthCheckPath": "/healthz",
                "HealthCheckIntervalSeconds": 5,
            },
        },
        "Listener": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 80,
                "Protocol": "HTTP",
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}],
            },
        },
        "Service": {
            "Type": "AWS::ECS::Service",
            "DependsOn": ["Listener", "Ledger"],
            "Properties": {
                "ServiceName": {"Fn::Sub": aws_names.service("${Stage}")},
                "Cluster": {"Ref": "Cluster"},
                "TaskDefinition": {"Ref": "Definition"},
                "DesiredCount": 1,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"]}},
                "LoadBalancers": [
                    {
                        "ContainerName": aws_names.CONTAINER,
                        "ContainerPort": aws_names.CONTAINER_PORT,
                        "TargetGroupArn": {"Ref": "Group"},
                    }
                ],
            },
        },
    }
    return json.dumps(
        {
            "Parameters": {"Stage": {"Type": "String"}, "Release": {"Type": "String"}},
            "Resources": resources,
            "Outputs": {"Url": {"Value": {"Fn::Sub": "http://${Balancer.DNSName}"}}},
        }
    )


def make(folder: Path, tree: RepositoryFolder, models: str) -> Release:
    """Push `tree` to a remote and start a local AWS that knows it; `create` makes the rest."""
    docker = ("pipeline_image/Dockerfile", ".dockerignore")
    for name in docker:
        tree.write(name, (ROOT / name).read_text(encoding="utf-8"))
    tree.write(".gitignore", ".prompt-hub/\n")
    tree.write(_TEMPLATE, stage_template(models))
    remote = folder / "remote.git"
    repository = Repository(remote, tree.root)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", remote], check=True)
    repository.git("init", "-q", "-b", "main")
    repository.git("remote", "add", "origin", str(remote))
    repository.git("config", "user.name", "Ada")
    repository.git("config", "user.email", "ada@example.com")
    repository.push({})
    aws = LocalAws(state=folder / "aws", repositories={PLAIN: remote})
    return Release(Pipelines(aws, repository, repository), models)
