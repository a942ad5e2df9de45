"""A stack that answers dropped files as the records stack does, with a small program as container.

Its containers say in a folder what they do, and do what the folder tells them: so a test waits for
them instead of for time.
"""

from __future__ import annotations

import json
import os
import signal
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

PROGRAM = """
import json, os, pathlib, sys, time
import boto3

folder, bucket = pathlib.Path(os.environ["FOLDER"]), os.environ["BUCKET"]
command, run, *rest = sys.argv[1:]
s3 = boto3.client("s3")

def say(text):
    with (folder / "said").open("a") as said:
        said.write(text + chr(10))

def put(name, body, **how):
    s3.put_object(Bucket=bucket, Key=f"runs/{run}/{name}", Body=body, **how)

def get(name):
    return s3.get_object(Bucket=bucket, Key=f"runs/{run}/{name}")["Body"].read().decode()

if command == "plan":
    key, version = rest
    say(f"plan {run}")
    lines = s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read().decode()
    shards = [{"shard": n, "text": line} for n, line in enumerate(lines.split())]
    put("shards.json", json.dumps(shards))
elif command == "answer":
    shard, text = rest
    name = f"{shard}"
    try:
        put(f"began/{name}", b"", IfNoneMatch="*")
        attempt = "first"
    except s3.exceptions.ClientError:
        attempt = "again"
    # Said last: who hears it may kill this process, and the next attempt is not the first.
    say(f"begin {name} {os.getpid()}")
    while (folder / f"hold-{name}").exists() and attempt == "first":
        time.sleep(0.02)
    failing = folder / f"fail-{name}"
    if failing.exists() and (left := int(failing.read_text())):
        failing.write_text(str(left - 1))
        say(f"end {name}")
        sys.exit(3)
    try:
        put(f"out/{name}", text.upper(), IfNoneMatch="*")
        say(f"answered {name}")
    except s3.exceptions.ClientError:
        say(f"was there {name}")
    say(f"end {name}")
elif command == "merge":
    shards = json.loads(get("shards.json"))
    put("output", " ".join(get(f"out/{shard['shard']}") for shard in shards))
    say("merge")
"""

RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5}]
FAMILY = "records"


def allow(actions: str | list[str], resource: Any = "*", **conditions: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": conditions} if conditions else {})


def role(service: str, *statements: dict[str, Any]) -> dict[str, Any]:
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            }
        ]
    }
    policy = {"PolicyName": "p", "PolicyDocument": {"Statement": list(statements)}}
    properties: dict[str, Any] = {"AssumeRolePolicyDocument": trust}
    if statements:
        properties["Policies"] = [policy]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def task(name: str, arguments: list[str], **state: Any) -> dict[str, Any]:
    """A state that runs the program; each argument is a function or path of the language."""
    container = {"Name": "service", "Command.$": f"States.Array({', '.join(arguments)})"}
    overrides = {"ContainerOverrides": [container], "TaskRoleArn": "${records_role}"}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {
            "Cluster": "${cluster}",
            "TaskDefinition": FAMILY,
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"]}},
            "Overrides": overrides,
        },
        "ResultPath": None,
        **state,
    }


def definition(*, retry: list[dict[str, Any]] | None = None, **of_map: Any) -> dict[str, Any]:
    """The contract's machine: plan, a child for each shard, merge."""
    child = task("Answer", ["'answer'", "$.run", "States.Format('{}', $.shard)", "$.text"])
    child |= {"Retry": RETRY if retry is None else retry, "OutputPath": None, "End": True}
    states = {
        "Name": {
            "Type": "Pass",
            "Parameters": {
                "key.$": "$.detail.object.key",
                "version.$": "$.detail.object['version-id']",
                "task.$": "States.ArrayGetItem(States.StringSplit($.detail.object.key, '/'), 1)",
                "run.$": "States.Hash(States.Format('{} {}', $.detail.object.key,"
                " $.detail.object['version-id']), 'SHA-256')",
            },
            "Next": "Plan",
        },
        "Plan": task("Plan", ["'plan'", "$.run", "$.key", "$.version"], Next="Answers"),
        "Answers": {
            "Type": "Map",
            "Label": "shards",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {
                    "Bucket": "${bucket}",
                    "Key.$": "States.Format('runs/{}/shards.json', $.run)",
                },
            },
            "ItemSelector": {
                "run.$": "$.run",
                "shard.$": "$$.Map.Item.Value.shard",
                "text.$": "$$.Map.Item.Value.text",
            },
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Answer",
                "States": {"Answer": child},
            },
            "MaxConcurrency": 2,
            "ToleratedFailurePercentage": 0,
            "ResultPath": None,
            "Next": "Merge",
            **of_map,
        },
        "Merge": task("Merge", ["'merge'", "$.run"], End=True),
    }
    return {"StartAt": "Name", "States": states}


def _left(statements: dict[str, Any], without: tuple[str, ...]) -> list[dict[str, Any]]:
    return [statement for name, statement in statements.items() if name not in without]


@dataclass
class Records:
    """The stack on one local AWS, and the folder by which its containers are told what to do."""

    aws: LocalAws
    folder: Path
    name: str = field(default_factory=lambda: f"r-{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.image = self.aws.build_image(self.name, {"records.py": PROGRAM})
        self.machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{self.name}"
        self.states, self.s3 = self.aws.client("stepfunctions"), self.aws.client("s3")

    def template(self, machine: dict[str, Any], without: tuple[str, ...] = ()) -> str:
        """The stack; `without` names statements that its roles do not have."""
        bucket = f"arn:aws:s3:::{self.name}"
        task_definition = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{FAMILY}:*"
        cluster = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{self.name}"
        execution = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{self.name}"
        rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsForECSTaskRule"
        passed = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        of_machine = {
            "run": allow("ecs:RunTask", task_definition, ArnEquals={"ecs:cluster": cluster}),
            "stop": allow(["ecs:StopTask", "ecs:DescribeTasks"]),
            "pass": allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{self.name}-*", **passed),
            "read": allow("s3:GetObject", f"{bucket}/runs/*"),
            "children": allow("states:StartExecution", self.machine),
            "redrive": allow("states:RedriveExecution", f"{execution}/shards:*"),
            "tell": allow("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:{self.name}"),
            "rule": allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], rule),
        }
        of_events = {"start": allow("states:StartExecution", self.machine)}
        roles = {
            "ServiceRole": role("ecs-tasks.amazonaws.com"),
            "RecordsRole": role(
                "ecs-tasks.amazonaws.com",
                allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], f"{bucket}/*"),
                allow("s3:ListBucket", bucket),
            ),
            "ExecutionRole": role("ecs-tasks.amazonaws.com", allow("ecr:*")),
            "MachineRole": role("states.amazonaws.com", *_left(of_machine, without)),
            "EventsRole": role("events.amazonaws.com", *_left(of_events, without)),
        }
        for name, made in roles.items():
            made["Properties"]["RoleName"] = f"{self.name}-{name}"
        container = {
            "Name": "service",
            "Image": self.image,
            "EntryPoint": ["python", "records.py"],
            "Command": ["serve"],
            "Essential": True,
            "StopTimeout": 2,
            "Environment": [
                {"Name": "FOLDER", "Value": str(self.folder)},
                {"Name": "BUCKET", "Value": self.name},
            ],
        }
        resources = {
            **roles,
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "BucketName": self.name,
                    "VersioningConfiguration": {"Status": "Enabled"},
                    "NotificationConfiguration": {
                        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
                    },
                },
            },
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": self.name}},
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": FAMILY,
                    "NetworkMode": "awsvpc",
                    "RequiresCompatibilities": ["FARGATE"],
                    "Cpu": "256",
                    "Memory": "512",
                    "TaskRoleArn": {"Fn::GetAtt": ["ServiceRole", "Arn"]},
                    "ExecutionRoleArn": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
                    "ContainerDefinitions": [container],
                },
            },
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "DependsOn": ["Task"],
                "Properties": {
                    "StateMachineName": self.name,
                    "RoleArn": {"Fn::GetAtt": ["MachineRole", "Arn"]},
                    "DefinitionString": json.dumps(machine),
                    "DefinitionSubstitutions": {
                        "cluster": {"Fn::GetAtt": ["Cluster", "Arn"]},
                        "bucket": {"Ref": "Bucket"},
                        "records_role": {"Fn::GetAtt": ["RecordsRole", "Arn"]},
                    },
                    "TracingConfiguration": {"Enabled": True},
                },
            },
            "Dropped": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "Name": self.name,
                    "EventPattern": {
                        "source": ["aws.s3"],
                        "detail-type": ["Object Created"],
                        "detail": {
                            "bucket": {"name": [{"Ref": "Bucket"}]},
                            "object": {"key": [{"prefix": "incoming/"}]},
                        },
                    },
                    "Targets": [
                        {
                            "Id": "machine",
                            "Arn": {"Ref": "Machine"},
                            "RoleArn": {"Fn::GetAtt": ["EventsRole", "Arn"]},
                        }
                    ],
                },
            },
        }
        return json.dumps({"Resources": resources})

    def deploy(self, machine: dict[str, Any] | None = None, *without: str) -> str:
        """Create or update the stack; returns the status in which it ends."""
        stacks = self.aws.client("cloudformation")
        stack = {
            "StackName": self.name,
            "TemplateBody": self.template(machine or definition(), without),
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        try:
            stacks.create_stack(**stack)
        except stacks.exceptions.AlreadyExistsException:
            stacks.update_stack(**stack)

        def ended() -> str:
            status: str = stacks.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
            return "" if "IN_PROGRESS" in status else status

        return eventually(ended, what=f"the end of {self.name}")

    def drop(self, text: str, name: str = "file.csv") -> str:
        """Drop a file; returns its version."""
        put = self.s3.put_object(Bucket=self.name, Key=f"incoming/brand/{name}", Body=text.encode())
        version: str = put["VersionId"]
        return version

    def executions(self, status: str = "") -> list[dict[str, Any]]:
        """The executions of the machine, the newest first."""
        wanted = {"statusFilter": status} if status else {}
        found: list[dict[str, Any]] = self.states.list_executions(
            stateMachineArn=self.machine, **wanted
        )["executions"]
        return found

    def ended(self, number: int = 1) -> dict[str, Any]:
        """Wait until there are so many executions and none runs; returns the newest."""

        def probe() -> dict[str, Any] | None:
            found = self.executions()
            if len(found) < number or any(one["status"] == "RUNNING" for one in found):
                return None
            newest: dict[str, Any] = self.states.describe_execution(
                executionArn=found[0]["executionArn"]
            )
            return newest

        return eventually(probe, what="the end of the execution") or {}

    def run_of(self, execution: dict[str, Any]) -> str:
        """The run that an execution computed."""
        events = self.states.get_execution_history(executionArn=execution["executionArn"])
        entered = [
            event["stateEnteredEventDetails"]
            for event in events["events"]
            if event["type"] == "TaskStateEntered"
        ]
        run: str = json.loads(entered[0]["input"])["run"]
        return run

    def output(self, execution: dict[str, Any]) -> str:
        key = f"runs/{self.run_of(execution)}/output"
        text: bytes = self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        return text.decode()

    def said(self, word: str = "") -> list[str]:
        """What the containers said so far that begins with `word`."""
        file = self.folder / "said"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(word)]

    def hold(self, *shards: int) -> None:
        """Let the first attempt at these shards wait until `release`."""
        for shard in shards:
            (self.folder / f"hold-{shard}").touch()

    def release(self) -> None:
        for file in self.folder.glob("hold-*"):
            file.unlink()

    def fail(self, shard: int, times: int) -> None:
        """Let a shard exit with 3 so many times."""
        (self.folder / f"fail-{shard}").write_text(str(times))

    def kill_child(self, shard: int) -> None:
        """Kill the process of a shard, once it runs."""
        (begun,) = eventually(lambda: self.said(f"begin {shard} "), what=f"shard {shard}")
        os.kill(int(begun.split()[-1]), signal.SIGKILL)
