"""A service of AWS does with a role what the role allows, if the role's trust lets it be that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from local_aws.settings import PERMISSION_CALLS_LOG, PERMISSIONS_LOG
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

OURS = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
THEIRS = {"StringEquals": {"aws:SourceAccount": "999999999999"}}
PROJECT = {
    "source": {
        "type": "NO_SOURCE",
        "buildspec": json.dumps({"version": "0.2", "phases": {"build": {"commands": ["true"]}}}),
    },
    "artifacts": {"type": "NO_ARTIFACTS"},
    "environment": {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
    },
}
CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/1"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    emulator = LocalAws(state=tmp_path_factory.mktemp("run") / "cloud", permissions="enforce")
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def role(
    aws: LocalAws,
    name: str,
    service: str,
    *statements: Mapping[str, object],
    condition: Mapping[str, object] = OURS,
) -> str:
    """Make a role that `service` may be under `condition`; returns its ARN."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    iam = aws.client("iam")
    arn: str = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
    )["Role"]["Arn"]
    if statements:
        document = json.dumps({"Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="a", PolicyDocument=document)
    return arn


def build_status(aws: LocalAws, name: str, service_role: str) -> str:
    """Run a build that does nothing, and say how it ended."""
    codebuild = aws.client("codebuild")
    codebuild.create_project(name=name, serviceRole=service_role, **PROJECT)
    build = codebuild.start_build(projectName=name)["build"]["id"]

    def ended() -> Any:
        found = codebuild.batch_get_builds(ids=[build])["builds"][0]
        return found if found["buildComplete"] else None

    status: str = eventually(ended, what="the build's end")["buildStatus"]
    return status


def said(aws: LocalAws, role_name: str) -> list[str]:
    """What the local AWS wrote down about denials of `role_name`."""
    lines = (aws.state / PERMISSIONS_LOG).read_text(encoding="utf-8").splitlines()[1:]
    return [line["sentence"] for line in map(json.loads, lines) if line["role"] == role_name]


def test_a_service_acts_only_for_the_account_that_the_trust_names(enforced: LocalAws) -> None:
    ours = role(enforced, "built-for-us", "codebuild", EVERYTHING)
    assert build_status(enforced, "ours", ours) == "SUCCEEDED"
    theirs = role(enforced, "built-for-them", "codebuild", EVERYTHING, condition=THEIRS)
    assert build_status(enforced, "theirs", theirs) == "FAILED"
    assert said(enforced, "codebuild.amazonaws.com") == [
        f"codebuild.amazonaws.com may not sts:AssumeRole on {theirs}: it is allowed only under"
        f' {json.dumps(THEIRS)}, and the request has {{"aws:SourceAccount": "{ACCOUNT}"}}.'
    ]


def test_a_role_of_another_service_is_not_had(enforced: LocalAws) -> None:
    other = role(enforced, "of-lambda", "lambda", EVERYTHING)
    assert build_status(enforced, "other", other) == "FAILED"
    assert any(
        sentence.startswith(f"codebuild.amazonaws.com may not sts:AssumeRole on {other}: no ")
        for sentence in said(enforced, "codebuild.amazonaws.com")
    )


def test_a_build_that_may_not_write_its_log_does_not_run(enforced: LocalAws) -> None:
    silent = role(enforced, "silent", "codebuild", {**EVERYTHING, "Action": "s3:*"})
    assert build_status(enforced, "silent", silent) == "FAILED"
    (sentence,) = said(enforced, "silent")
    assert sentence.startswith("silent may not logs:CreateLogStream on arn:aws:logs:")
    assert sentence.endswith(": no statement of its policies has that action.")


def stopped(ecs: Any, cluster: str, task: str) -> str:
    """Why the task stopped, nothing while it runs."""
    found = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"][0]
    return str(found.get("stoppedReason", "")) if found["lastStatus"] == "STOPPED" else ""


def test_a_task_whose_execution_role_may_not_pull_does_not_start(enforced: LocalAws) -> None:
    image = enforced.build_image("1", {"a.py": "print('ran')\n"})
    cluster = enforced.client("ecs").create_cluster(clusterName="c")["cluster"]["clusterArn"]
    pulls = {**EVERYTHING, "Action": "ecr:*"}
    for name, statements, reason in (
        ("puller", [pulls], "Essential container in task exited"),
        ("no-puller", [], "ecr:GetAuthorizationToken on *: no statement"),
    ):
        execution = role(enforced, name, "ecs-tasks", *statements)
        ecs = enforced.client("ecs")
        ecs.register_task_definition(
            family=name,
            executionRoleArn=execution,
            containerDefinitions=[
                {"name": "a", "image": image, "command": ["python", "a.py"], "memory": 128}
            ],
        )
        task = ecs.run_task(cluster=cluster, taskDefinition=name)["tasks"][0]["taskArn"]

        assert reason in eventually(partial(stopped, ecs, cluster, task), what="the task's end")


def test_a_rule_starts_a_task_only_with_a_role_that_may(enforced: LocalAws) -> None:
    run = {"Effect": "Allow", "Action": "ecs:RunTask", "Resource": "*"}
    events = role(enforced, "starter", "events", run)
    executing = role(enforced, "executing", "ecs-tasks", EVERYTHING)
    ecs, rules = enforced.client("ecs"), enforced.client("events")
    cluster = ecs.create_cluster(clusterName="by-rule")["cluster"]["clusterArn"]
    definition = ecs.register_task_definition(
        family="by-rule",
        taskRoleArn=executing,
        containerDefinitions=[{"name": "a", "image": "none:1", "memory": 128}],
    )["taskDefinition"]["taskDefinitionArn"]
    rules.put_rule(Name="asked", EventPattern=json.dumps({"source": ["test"]}))
    rules.put_targets(
        Rule="asked",
        Targets=[
            {
                "Id": "1",
                "Arn": cluster,
                "RoleArn": events,
                "EcsParameters": {"TaskDefinitionArn": definition},
            }
        ],
    )
    rules.put_events(Entries=[{"Source": "test", "DetailType": "a", "Detail": "{}"}])
    (sentence,) = eventually(lambda: said(enforced, "starter")[:1], what="the rule's denial")
    assert sentence.startswith(f"starter may not iam:PassRole on {executing}: no statement")
    assert not ecs.list_tasks(cluster=cluster)["taskArns"]


def source_action(aws: LocalAws, name: str, *, pipeline: str, action: str) -> str:
    """Run a pipeline with these roles whose source is not there, and say why it failed."""
    aws.client("s3").create_bucket(
        Bucket=f"{name}-artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    codepipeline = aws.client("codepipeline")
    take = {
        "name": "Take",
        "roleArn": action,
        "actionTypeId": {
            "category": "Source",
            "owner": "AWS",
            "provider": "CodeStarSourceConnection",
            "version": "1",
        },
        "configuration": {
            "ConnectionArn": CONNECTION,
            "FullRepositoryId": "example/nothing",
            "BranchName": "main",
        },
        "outputArtifacts": [{"name": "Tree"}],
    }
    wait = {
        "name": "Wait",
        "actionTypeId": {
            "category": "Approval",
            "owner": "AWS",
            "provider": "Manual",
            "version": "1",
        },
    }
    codepipeline.create_pipeline(
        pipeline={
            "name": name,
            "roleArn": pipeline,
            "artifactStore": {"type": "S3", "location": f"{name}-artifacts"},
            "stages": [
                {"name": "Source", "actions": [take]},
                {"name": "Gate", "actions": [wait]},
            ],
        }
    )

    def failed() -> list[dict[str, Any]]:
        details = codepipeline.list_action_executions(pipelineName=name)["actionExecutionDetails"]
        return [found for found in details if found["status"] == "Failed"]

    (found,) = eventually(failed, what="the action's end")
    error: dict[str, str] = found["output"]["executionResult"]["errorDetails"]
    return f"{error['code']}: {error['message']}"


def test_an_action_has_the_role_that_the_one_of_its_pipeline_may_assume(
    enforced: LocalAws,
) -> None:
    uses = {**EVERYTHING, "Action": "codeconnections:UseConnection"}
    whole = role(enforced, "pipe", "codepipeline", {**EVERYTHING, "Action": "sts:AssumeRole"})
    nothing = role(enforced, "pipe-of-nothing", "codepipeline")
    trust = {"Effect": "Allow", "Principal": {"AWS": [whole, nothing]}, "Action": "sts:AssumeRole"}
    for name in ("take", "take-nothing"):
        role(enforced, name, "codepipeline", *([uses] if name == "take" else []))
        enforced.client("iam").update_assume_role_policy(
            RoleName=name, PolicyDocument=json.dumps({"Statement": [trust]})
        )
    arn = f"arn:aws:iam::{ACCOUNT}:role/"
    assert source_action(enforced, "p1", pipeline=whole, action=f"{arn}take") == (
        "ConfigurationError: the local AWS has no repository example/nothing"
    )
    assert source_action(enforced, "p2", pipeline=whole, action=f"{arn}take-nothing") == (
        f"PermissionError: take-nothing may not codeconnections:UseConnection on {CONNECTION}:"
        " no statement of its policies has that action."
    )
    assert source_action(enforced, "p3", pipeline=nothing, action=f"{arn}take") == (
        f"PermissionError: pipe-of-nothing may not sts:AssumeRole on {arn}take:"
        " no statement of its policies has that action."
    )
    assert source_action(enforced, "p4", pipeline=whole, action=whole).startswith(
        f"PermissionError: pipe may not sts:AssumeRole on {whole}: "
    )


def test_a_function_whose_role_lambda_may_not_be_does_not_run(enforced: LocalAws) -> None:
    role(enforced, "test", "codebuild", EVERYTHING)
    name = enforced.function("f", "def handler(event, context):\n    return 1\n")
    answer = enforced.client("lambda").invoke(FunctionName=name)
    assert "FunctionError" in answer
    assert f"may not sts:AssumeRole on arn:aws:iam::{ACCOUNT}:role/test" in (
        answer["Payload"].read().decode()
    )


def test_what_was_allowed_is_written_down_once(enforced: LocalAws) -> None:
    builder = role(enforced, "builder", "codebuild", EVERYTHING)
    for name in ("first", "second"):
        assert build_status(enforced, name, builder) == "SUCCEEDED"
    lines = (enforced.state / PERMISSION_CALLS_LOG).read_text(encoding="utf-8").splitlines()
    calls = [call for call in map(json.loads, lines) if builder in call.values()]
    assert [call["action"] for call in calls] == ["sts:AssumeRole"] * 2
    assert [call["keys"]["aws:sourcearn"].rpartition("/")[2] for call in calls] == [
        "first",
        "second",
    ]
    assert len(set(lines)) == len(lines)
    assert f":{REGION}:" in lines[0]
