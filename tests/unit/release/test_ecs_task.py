"""What became of a task that was started once: the exit code of the container that ran it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from prompt_hub.cli.activate import measure_now
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.release import ecs_task

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

ARN = "arn:aws:ecs:eu-central-1:000000000000:task/cluster/1"
OURS = {"name": aws_names.CONTAINER}
AGENT = {"name": "aws-guardduty-agent-1"}
"""Runtime monitoring adds it to tasks on Fargate; it is told to stop once ours has ended."""


def client() -> ECSClient:
    """A client that asks nobody."""
    return boto3.client(
        "ecs", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


def running(image: str, *states: str) -> str:
    """The release of a service with this image, and deployments in these states, newest first."""
    ecs = client()
    deployments = [
        {"status": "ACTIVE" if number else "PRIMARY", "rolloutState": state}
        for number, state in enumerate(states)
    ]
    service = {"status": "ACTIVE", "taskDefinition": "dev:7", "deployments": deployments}
    containers = [{"name": "aws-guardduty-agent-1", "image": "agent:1"}, {**OURS, "image": image}]
    with Stubber(ecs) as stub:
        stub.add_response("describe_services", {"services": [service]})
        stub.add_response(
            "describe_task_definition",
            {"taskDefinition": {"containerDefinitions": containers}},
            {"taskDefinition": "dev:7"},
        )
        return ecs_task.running_release(ecs, "dev")


def test_the_release_that_runs_is_the_tag_of_its_image() -> None:
    assert running("1.dkr.ecr.aws/prompt-hub:exec-1", "COMPLETED") == "exec-1"
    assert running("registry:5000/prompt-hub:exec-1", "COMPLETED", "FAILED") == "exec-1"


@pytest.mark.parametrize("state", ["IN_PROGRESS", "FAILED"])
def test_nobody_knows_what_runs_while_it_is_rolled_out(state: str) -> None:
    with pytest.raises(PromptHubError, match=f"is {state}, not COMPLETED: nobody can say which"):
        running("registry/prompt-hub:exec-1", state, "COMPLETED")


def test_the_environment_that_runs_is_that_of_our_own_container() -> None:
    ecs = client()
    service = {"status": "ACTIVE", "taskDefinition": "dev:7"}
    agent = {"name": "aws-guardduty-agent-1", "environment": [{"name": "A", "value": "agent"}]}
    ours = {**OURS, "environment": [{"name": "A", "value": "ours"}, {"name": "B", "value": ""}]}
    with Stubber(ecs) as stub:
        stub.add_response("describe_services", {"services": [service]})
        stub.add_response(
            "describe_task_definition",
            {"taskDefinition": {"containerDefinitions": [agent, ours]}},
            {"taskDefinition": "dev:7"},
        )
        assert ecs_task.running_environment(ecs, "dev") == {"A": "ours", "B": ""}


@pytest.mark.parametrize("image", ["registry:5000/prompt-hub", "prompt-hub"])
def test_an_image_without_a_tag_is_no_release(image: str) -> None:
    with pytest.raises(PromptHubError, match="which no release has tagged"):
        running(image, "COMPLETED")


def test_a_container_that_is_started_once_has_the_services_tags_and_a_role_of_its_own() -> None:
    ecs, asked = client(), list[dict[str, Any]]()

    def note(params: dict[str, Any], **_: object) -> None:
        asked.append(params)

    service = {
        "serviceArn": "arn:aws-cn:ecs:cn-north-1:123456789012:service/dev/dev",
        "status": "ACTIVE",
        "taskDefinition": "dev:7",
        "networkConfiguration": {},
    }
    ecs.meta.events.register("provide-client-params.ecs.RunTask", note)
    with Stubber(ecs) as stub:
        stub.add_response("describe_services", {"services": [service]})
        stub.add_response("run_task", {"tasks": [{"taskArn": ARN}], "failures": []})
        command = ["prompt-hub", "watch", "--due"]
        assert ecs_task.run(ecs, "dev", command, role="prompt-hub-dev-watch") == ARN
    assert [params["propagateTags"] for params in asked] == ["TASK_DEFINITION"]
    assert [params["overrides"]["taskRoleArn"] for params in asked] == [
        "arn:aws-cn:iam::123456789012:role/prompt-hub-dev-watch"
    ]


def code_of(containers: list[dict[str, Any]]) -> int:
    """Wait for a task that stopped, with these containers as ECS describes them."""
    ecs = client()
    task = {
        "taskArn": ARN,
        "lastStatus": "STOPPED",
        "stoppedReason": "Essential container in task exited",
        "containers": containers,
    }
    with Stubber(ecs) as stub:
        stub.add_response("describe_tasks", {"tasks": [task], "failures": []})
        return ecs_task.wait(ecs, "dev", ARN)


@pytest.mark.parametrize(
    ("containers", "code"),
    [
        ([{**OURS, "exitCode": 0}], 0),
        ([{**OURS, "exitCode": 1}], 1),
        ([{**AGENT, "exitCode": 0}, {**OURS, "exitCode": 1}], 1),
        ([{**OURS, "exitCode": 137}, {**AGENT, "exitCode": 0}], 137),
        ([{**AGENT, "exitCode": 143}, {**OURS, "exitCode": 0}], 0),
    ],
)
def test_the_exit_code_is_that_of_our_container(
    containers: list[dict[str, Any]], code: int
) -> None:
    assert code_of(containers) == code


@pytest.mark.parametrize("containers", [[], [OURS], [{**AGENT, "exitCode": 0}, OURS]])
def test_a_container_that_never_ran_is_a_failure(containers: list[dict[str, Any]]) -> None:
    with pytest.raises(PromptHubError, match="never ran: Essential container"):
        code_of(containers)


def test_a_task_is_looked_at_soon_then_less_often() -> None:
    ecs = client()
    pauses: list[float] = []
    stopped = {"lastStatus": "STOPPED", "containers": [{**OURS, "exitCode": 0}]}
    with Stubber(ecs) as stub:
        for task in [{"lastStatus": "RUNNING"}] * 9 + [stopped]:
            stub.add_response("describe_tasks", {"tasks": [{"taskArn": ARN, **task}]})
        assert ecs_task.wait(ecs, "dev", ARN, sleep=pauses.append) == 0

    assert pauses[0] <= 0.25
    assert pauses == sorted(pauses)
    assert max(pauses) == pauses[-1] == 2.0


def test_activation_starts_one_run_however_many_tasks_have_moved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One container a task asks the same models at once, each as if it were alone."""
    started: list[Sequence[str]] = []
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(
        ecs_task, "run", lambda ecs, stage, command, role: started.append((role, *command))
    )
    measure_now("dev", [f"task-{number}" for number in range(50)])
    assert started == [("prompt-hub-dev-watch", "prompt-hub", "watch", "--due")]
    assert capsys.readouterr().out.count("the score watch measures it now") == 50
