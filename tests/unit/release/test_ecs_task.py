"""What became of a task that was started once: the exit code of the container that ran it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from prompt_hub.cli.activate import measure_now
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.release import ecs_task

ARN = "arn:aws:ecs:eu-central-1:000000000000:task/cluster/1"
OURS = {"name": aws_names.CONTAINER}
AGENT = {"name": "aws-guardduty-agent-1"}
"""Runtime monitoring adds it to tasks on Fargate; it is told to stop once ours has ended."""


def code_of(containers: list[dict[str, Any]]) -> int:
    """Wait for a task that stopped, with these containers as ECS describes them."""
    client = boto3.client(
        "ecs", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    task = {
        "taskArn": ARN,
        "lastStatus": "STOPPED",
        "stoppedReason": "Essential container in task exited",
        "containers": containers,
    }
    with Stubber(client) as stub:
        stub.add_response("describe_tasks", {"tasks": [task], "failures": []})
        return ecs_task.wait(client, "dev", ARN)


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


def test_activation_starts_one_run_however_many_tasks_have_moved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One container a task asks the same models at once, each as if it were alone."""
    started: list[Sequence[str]] = []
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(
        ecs_task, "run", lambda ecs, stage, command: started.append((stage, *command))
    )
    measure_now("dev", [f"task-{number}" for number in range(50)])
    assert started == [("dev", "prompt-hub", "watch", "--due")]
    assert capsys.readouterr().out.count("the score watch measures it now") == 50
