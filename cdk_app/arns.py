"""ARNs of resources by their names, for permissions that cross stacks without exports."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from constructs import Construct

from prompt_hub.core import aws_names


def results_bucket(scope: Construct) -> str:
    """Return the results bucket."""
    stack = Stack.of(scope)
    bucket = aws_names.results_bucket(stack.account, stack.region)
    return stack.format_arn(service="s3", region="", account="", resource=bucket)


def results(scope: Construct, pattern: str) -> str:
    """Objects of the results bucket whose keys match `pattern`."""
    return f"{results_bucket(scope)}/{pattern}"


def in_stack(scope: Construct, pattern: str) -> str:
    """Write an ARN whose `{partition}`, `{region}` and `{account}` are those of the stack."""
    stack = Stack.of(scope)
    return (
        pattern.replace("{partition}", stack.partition)
        .replace("{region}", stack.region)
        .replace("{account}", stack.account)
    )


def ledger(scope: Construct, stage: str) -> str:
    """Return the ledger of `stage`."""
    return Stack.of(scope).format_arn(
        service="dynamodb", resource="table", resource_name=aws_names.ledger_table(stage)
    )


def alarm(scope: Construct, name: str) -> str:
    """Return a CloudWatch alarm."""
    return Stack.of(scope).format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def rollback_function(scope: Construct, stage: str) -> str:
    """Return the rollback Lambda of `stage`."""
    return Stack.of(scope).format_arn(
        service="lambda",
        resource="function",
        resource_name=aws_names.rollback_function(stage),
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def notification_topic(scope: Construct, stage: str) -> str:
    """Return the topic that tells people what happened in `stage`."""
    return Stack.of(scope).format_arn(service="sns", resource=aws_names.notification_topic(stage))


def default_event_bus(scope: Construct) -> str:
    """Return the event bus that every account has."""
    return Stack.of(scope).format_arn(
        service="events", resource="event-bus", resource_name="default"
    )


def cluster(scope: Construct, stage: str) -> str:
    """Return the ECS cluster of `stage`."""
    return Stack.of(scope).format_arn(
        service="ecs", resource="cluster", resource_name=aws_names.cluster(stage)
    )


def service(scope: Construct, stage: str) -> str:
    """Return the ECS service of `stage`."""
    return Stack.of(scope).format_arn(
        service="ecs",
        resource="service",
        resource_name=f"{aws_names.cluster(stage)}/{aws_names.service(stage)}",
    )


def task_definition(scope: Construct, stage: str, revision: str) -> str:
    """Return a revision of the service's task definition; its family has the service's name."""
    return Stack.of(scope).format_arn(
        service="ecs",
        resource="task-definition",
        resource_name=f"{aws_names.service(stage)}:{revision}",
    )


def task(scope: Construct, stage: str, task_id: str) -> str:
    """Return a running task in the cluster of `stage`."""
    return Stack.of(scope).format_arn(
        service="ecs", resource="task", resource_name=f"{aws_names.cluster(stage)}/{task_id}"
    )


def task_role_name(stage: str) -> str:
    """Name of the role that the service's code has: build actions pass it by name."""
    return f"{aws_names.service(stage)}-task"


def execution_role_name(stage: str) -> str:
    """Name of the role with which ECS starts the service's tasks."""
    return f"{aws_names.service(stage)}-execution"


def task_role(scope: Construct, stage: str) -> str:
    """Return the role that the service's code has."""
    return _role(scope, task_role_name(stage))


def execution_role(scope: Construct, stage: str) -> str:
    """Return the role with which ECS starts the service's tasks."""
    return _role(scope, execution_role_name(stage))


def _role(scope: Construct, name: str) -> str:
    return Stack.of(scope).format_arn(service="iam", region="", resource="role", resource_name=name)


def image_repository(scope: Construct) -> str:
    """Return the image repository."""
    return Stack.of(scope).format_arn(
        service="ecr", resource="repository", resource_name=aws_names.IMAGE_REPOSITORY
    )
