"""ARNs of resources by their names, for permissions that cross stacks without exports.

They are put together here and not by `Stack.format_arn`: the partition, region and account of a
stack are texts, and every call of CDK's is one of another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from aws_cdk import App, Stack
from constructs import Construct

from prompt_hub.core import aws_names

_LEDGERS = "prompt-hub:ledgers"


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a stack is deployed to; each may be a token, which CDK resolves in any text."""

    partition: str
    region: str
    account: str
    ledgers: Mapping[str, str] = field(default_factory=dict)
    """Restored tables, by stage."""

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"


_places: WeakKeyDictionary[Construct, _Place] = WeakKeyDictionary()


def _place(scope: Construct) -> _Place:
    """Return where `scope` is deployed to; CDK is asked once."""
    if scope not in _places:
        stack = Stack.of(scope)
        _places[scope] = _Place(
            partition=stack.partition,
            region=stack.region,
            account=stack.account,
            ledgers=stack.node.try_get_context(_LEDGERS) or {},
        )
    return _places[scope]


def results_bucket(scope: Construct) -> str:
    """Return the results bucket."""
    place = _place(scope)
    bucket = aws_names.results_bucket(place.account, place.region)
    return f"arn:{place.partition}:s3:::{bucket}"


def results(scope: Construct, pattern: str, *, bucket: str | None = None) -> str:
    """Objects of the results bucket, `bucket` where it is elsewhere, with keys like `pattern`."""
    if bucket is not None:
        return f"arn:{_place(scope).partition}:s3:::{bucket}/{pattern}"
    return f"{results_bucket(scope)}/{pattern}"


def in_stack(scope: Construct, pattern: str) -> str:
    """Write an ARN whose `{partition}`, `{region}` and `{account}` are those of the stack."""
    place = _place(scope)
    return (
        pattern.replace("{partition}", place.partition)
        .replace("{region}", place.region)
        .replace("{account}", place.account)
    )


def ledger(scope: Construct, stage: str) -> str:
    """Return the ledger of `stage`."""
    return _place(scope).arn("dynamodb", f"table/{ledger_table(scope, stage)}")


def name_ledgers(app: App, tables: Mapping[str, str]) -> None:
    """Let everything in `app` take these tables for the ledgers of stages; before it has stacks."""
    if tables:
        app.node.set_context(_LEDGERS, dict(tables))


def ledger_table(scope: Construct, stage: str) -> str:
    """Return the name of the ledger of `stage`: its own, or that of the table restored from it."""
    return _place(scope).ledgers.get(stage, aws_names.ledger_table(stage))


def alarm(scope: Construct, name: str) -> str:
    """Return a CloudWatch alarm."""
    return _place(scope).arn("cloudwatch", f"alarm:{name}")


def log_group(scope: Construct, name: str) -> str:
    """Return a log group; IAM wants `:*` behind it for what is done in it."""
    return _place(scope).arn("logs", f"log-group:{name}")


def rollback_function(scope: Construct, stage: str) -> str:
    """Return the rollback Lambda of `stage`."""
    return _place(scope).arn("lambda", f"function:{aws_names.rollback_function(stage)}")


def notification_topic(scope: Construct, stage: str) -> str:
    """Return the topic that tells people what happened in `stage`."""
    return _place(scope).arn("sns", aws_names.notification_topic(stage))


def pipeline(scope: Construct) -> str:
    """Return the pipeline."""
    return _place(scope).arn("codepipeline", aws_names.pipeline())


def build_project(scope: Construct, name: str) -> str:
    """Return a project of CodeBuild."""
    return _place(scope).arn("codebuild", f"project/{name}")


def pipeline_topic(scope: Construct) -> str:
    """Return the topic that tells people what the pipeline did, and what it waits for."""
    return _place(scope).arn("sns", aws_names.pipeline_topic())


def records_bucket(scope: Construct, stage: str) -> str:
    """Return the bucket of `stage` into which files of records are dropped."""
    place = _place(scope)
    return f"arn:{place.partition}:s3:::{aws_names.records_bucket(stage, place.account)}"


def records(scope: Construct, stage: str, pattern: str) -> str:
    """Objects of that bucket with keys like `pattern`."""
    return f"{records_bucket(scope, stage)}/{pattern}"


def records_state_machine(scope: Construct, stage: str) -> str:
    """Return the state machine that answers dropped files of records."""
    return _place(scope).arn("states", f"stateMachine:{aws_names.records_state_machine(stage)}")


def records_execution(scope: Construct, stage: str, *, of: str = "") -> str:
    """Return any execution of that state machine, or of what its map called `of` has executed."""
    machine = "/".join((aws_names.records_state_machine(stage), *([of] if of else [])))
    return _place(scope).arn("states", f"execution:{machine}:*")


def managed_rule(scope: Construct, name: str) -> str:
    """Return the rule of that name, by which a service of AWS's own hears of events."""
    return _place(scope).arn("events", f"rule/{name}")


def integration(scope: Construct, action: str) -> str:
    """Return what a state of Step Functions calls."""
    return f"arn:{_place(scope).partition}:states:::{action}"


def default_event_bus(scope: Construct) -> str:
    """Return the event bus that every account has."""
    return _place(scope).arn("events", "event-bus/default")


def cluster(scope: Construct, stage: str) -> str:
    """Return the ECS cluster of `stage`."""
    return _place(scope).arn("ecs", f"cluster/{aws_names.cluster(stage)}")


def service(scope: Construct, stage: str) -> str:
    """Return the ECS service of `stage`."""
    return _place(scope).arn(
        "ecs", f"service/{aws_names.cluster(stage)}/{aws_names.service(stage)}"
    )


def task_definition(scope: Construct, stage: str, revision: str) -> str:
    """Return a revision of the service's task definition; its family has the service's name."""
    return _place(scope).arn("ecs", f"task-definition/{aws_names.service(stage)}:{revision}")


def task(scope: Construct, stage: str, task_id: str) -> str:
    """Return a running task in the cluster of `stage`."""
    return _place(scope).arn("ecs", f"task/{aws_names.cluster(stage)}/{task_id}")


def task_role_name(stage: str) -> str:
    """Name of the role that the service's code has."""
    return f"{aws_names.service(stage)}-task"


def execution_role_name(stage: str) -> str:
    """Name of the role with which ECS starts the service's tasks."""
    return f"{aws_names.service(stage)}-execution"


def execution_role(scope: Construct, stage: str) -> str:
    """Return the role with which ECS starts the service's tasks."""
    return role(scope, execution_role_name(stage))


def role(scope: Construct, name: str) -> str:
    """Return the role of that name."""
    return _place(scope).global_arn("iam", f"role/{name}")


def image_repository(scope: Construct) -> str:
    """Return the image repository."""
    return _place(scope).arn("ecr", f"repository/{aws_names.image_repository()}")


def image_repository_in(scope: Construct, account: str, region: str) -> str:
    """Return the image repository, for a stage that lives elsewhere."""
    place = _Place(partition=_place(scope).partition, region=region, account=account)
    return place.arn("ecr", f"repository/{aws_names.image_repository()}")


def event_bus_in(scope: Construct, account: str, region: str) -> str:
    """Return the event bus that another account or region has."""
    place = _Place(partition=_place(scope).partition, region=region, account=account)
    return place.arn("events", "event-bus/default")


def role_in(scope: Construct, account: str, name: str) -> str:
    """Return a role of another account."""
    return f"arn:{_place(scope).partition}:iam::{account}:role/{name}"


def root_of(scope: Construct, account: str) -> str:
    """Return what stands for everybody in another account."""
    return f"arn:{_place(scope).partition}:iam::{account}:root"


def bootstrap_role(stack: Stack, kind: str, *, account: str, region: str) -> str:
    """Return a role of the CDK's own in another account or region, such as its `deploy` role."""
    qualifier = stack.synthesizer.bootstrap_qualifier
    return role_in(stack, account, f"cdk-{qualifier}-{kind}-role-{account}-{region}")
