"""What the service of a stage runs, and its own task definition once with another command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ServiceTypeDef, TaskDefinitionTypeDef

LOOK_EVERY_SECONDS = 2.0
FIRST_LOOK_SECONDS = 0.25
"""How soon the first look is repeated; the pauses grow up to `LOOK_EVERY_SECONDS`."""
WAIT_SECONDS = 1800.0
"""A round of the score watch on a slow model ends well before."""


def run(ecs: ECSClient, stage: str, command: Sequence[str], *, role: str) -> str:
    """Start `command` in the image that the service of `stage` runs; returns the ECS task's ARN.

    It has the role of that name: the service's own may do nothing but serve.

    Raises `PromptHubError` if the service is not there or ECS starts nothing.
    """
    service = service_of(ecs, stage)
    partition, account = itemgetter(1, 4)(service["serviceArn"].split(":"))
    answer = ecs.run_task(
        cluster=aws_names.cluster(stage),
        taskDefinition=service["taskDefinition"],
        launchType="FARGATE",
        networkConfiguration=service["networkConfiguration"],
        overrides={
            "containerOverrides": [{"name": aws_names.CONTAINER, "command": list(command)}],
            "taskRoleArn": f"arn:{partition}:iam::{account}:role/{role}",
        },
        # As the service's own tasks have them: an account may ask for tags on all that runs.
        propagateTags="TASK_DEFINITION",
        startedBy="prompt-hub",
    )
    if not answer["tasks"]:
        failures = "; ".join(failure.get("reason", "?") for failure in answer.get("failures", []))
        raise PromptHubError(
            f"ECS did not start {' '.join(command)!r}: {failures or 'no reason given'}.",
            exit_code=ExitCode.UNEXPECTED,
        )
    return answer["tasks"][0]["taskArn"]


def running_release(ecs: ECSClient, stage: str) -> str:
    """Return the release whose image the service of `stage` runs: the tag of that image.

    Raises `PromptHubError` where no service is there, or another image is just being rolled out.
    """
    service = service_of(ecs, stage)
    for deployment in service["deployments"]:
        # COMPLETED for good: only a new deployment is in progress again, no replaced task is.
        if deployment["status"] == "PRIMARY" and deployment.get("rolloutState") != "COMPLETED":
            raise PromptHubError(
                f"the deployment of {service['taskDefinition'].rpartition('/')[2]} in stage "
                f"{stage} is {deployment.get('rolloutState', 'UNKNOWN')}, not COMPLETED: nobody "
                "can say which image runs.",
                hint="Wait for its end and run this again.",
                exit_code=ExitCode.UNEXPECTED,
            )
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
    containers = definition["taskDefinition"]["containerDefinitions"]
    image = next(
        (item["image"] for item in containers if item["name"] == aws_names.CONTAINER), "none"
    )
    # The last part alone: a registry's port is behind a colon as well.
    _, _, tag = image.rpartition("/")[2].partition(":")
    if not tag:
        raise PromptHubError(
            f"the service of stage {stage} runs the image {image}, which no release has tagged.",
            hint="Deploy a release.",
            exit_code=ExitCode.UNEXPECTED,
        )
    return tag


def running_environment(ecs: ECSClient, stage: str) -> dict[str, str]:
    """Return the variables of the container that the service of a stage runs.

    Raises `PromptHubError` where no service is there.
    """
    arn = service_of(ecs, stage)["taskDefinition"]
    return environment_in(ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])


def environment_in(definition: TaskDefinitionTypeDef) -> dict[str, str]:
    """Return the variables of the service's container in a task definition."""
    return {
        item["name"]: item["value"]
        for container in definition["containerDefinitions"]
        if container["name"] == aws_names.CONTAINER
        for item in container.get("environment", [])
    }


def service_of(ecs: ECSClient, stage: str) -> ServiceTypeDef:
    """Return the service of a stage; raises `PromptHubError` where there is none."""
    try:
        described = ecs.describe_services(
            cluster=aws_names.cluster(stage), services=[aws_names.service(stage)]
        )["services"]
    except ecs.exceptions.ClusterNotFoundException:
        described = []
    if not described or described[0].get("status") != "ACTIVE":
        raise PromptHubError(
            f"stage {stage} runs no service {aws_names.service(stage)}.",
            hint="Deploy the stage first.",
            exit_code=ExitCode.UNEXPECTED,
        )
    return described[0]


def wait(
    ecs: ECSClient,
    stage: str,
    task_arn: str,
    *,
    seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until a started task has stopped; returns its container's exit code.

    Raises `PromptHubError` if it is still running after `seconds` or its container never ran.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_LOOK_SECONDS
    while True:
        tasks = ecs.describe_tasks(cluster=aws_names.cluster(stage), tasks=[task_arn])["tasks"]
        if tasks and tasks[0].get("lastStatus") == "STOPPED":
            break
        if time.monotonic() > deadline:
            raise PromptHubError(
                f"the task {task_arn} still runs after {seconds:g} s.",
                exit_code=ExitCode.UNEXPECTED,
            )
        sleep(pause)
        pause = min(pause * 1.5, LOOK_EVERY_SECONDS)
    stopped = tasks[0]
    # By name: agents that AWS adds to a task stand in the same list, in any order.
    mine = [c for c in stopped.get("containers", []) if c.get("name") == aws_names.CONTAINER]
    if not mine or "exitCode" not in mine[0]:
        raise PromptHubError(
            f"the task {task_arn} never ran: {stopped.get('stoppedReason', 'no reason given')}.",
            exit_code=ExitCode.UNEXPECTED,
        )
    return mine[0]["exitCode"]
