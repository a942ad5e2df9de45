"""Every permission of what answers files of records; the others are in `cdk_app.permissions`."""

from __future__ import annotations

from collections.abc import Iterable

from constructs import Construct

from cdk_app import arns, permissions
from cdk_app.permissions import Permission, allow
from cdk_app.records_definition import SHARDS
from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig

_KEYS = "Keys hold names of tasks and files, and of runs, unknown at synth."
_WAITS = "StepFunctionsGetEventsForECSTaskRule"
"""The rule that Step Functions makes in an account, to hear when tasks of ECS have ended."""


def answer_records(
    scope: Construct, stage: str, models: Iterable[ModelConfig], results: str
) -> tuple[Permission, ...]:
    """Plan, answer and merge: read dropped files, write runs, ask models, tell people and the bus.

    The version that answers is what the ledger says is active; what it will cost is foreseen from
    its examples, a large set of which lies in the bucket of `results`.
    """
    return (
        allow(
            # A file may be dropped again under its name while the first one is read.
            ["s3:GetObject", "s3:GetObjectVersion"],
            [arns.records(scope, stage, f"{aws_names.INCOMING}*")],
            wildcard=_KEYS,
        ),
        *_write_runs(scope, stage),
        *permissions.read_ledger(scope, stage),
        *permissions.call_models(scope, models),
        *permissions.read_example_sets(scope, bucket=results),
        allow(
            ["events:PutEvents"],
            [arns.default_event_bus(scope)],
            conditions={"StringEquals": {"events:source": aws_names.records_source()}},
        ),
        allow(["sns:Publish"], [arns.notification_topic(scope, stage)]),
    )


def _write_runs(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Read and write what becomes of files; no dropped file, and nothing is deleted."""
    runs = (aws_names.RUNS, aws_names.WORK, aws_names.INDEX)
    return (
        allow(
            ["s3:GetObject", "s3:PutObject"],
            [arns.records(scope, stage, f"{prefix}*") for prefix in runs],
            wildcard=_KEYS,
        ),
        # Journals and parts are listed, and without it S3 says "access denied" of what is missing.
        allow(["s3:ListBucket"], [arns.records_bucket(scope, stage)]),
    )


def run_records(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Be the state machine: start containers, and itself for each shard; tell people of a file."""
    return (
        allow(["sns:Publish"], [arns.notification_topic(scope, stage)]),
        *permissions.run_as(aws_names.records_role(stage), scope, stage),
        allow(
            ["ecs:DescribeTasks", "ecs:StopTask"],
            [arns.task(scope, stage, "*")],
            wildcard="The id of a task is made when it starts.",
        ),
        allow(
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [arns.managed_rule(scope, _WAITS)],
        ),
        allow(
            ["s3:GetObject"],
            [arns.records(scope, stage, aws_names.run_key("*", "*", aws_names.SHARDS_FILE))],
            wildcard=_KEYS,
        ),
        allow(["states:StartExecution"], [arns.records_state_machine(scope, stage)]),
        allow(
            ["states:DescribeExecution", "states:StopExecution"],
            [arns.records_execution(scope, stage)],
            wildcard="Step Functions makes up the names of executions.",
        ),
        allow(
            # Where a person has a failed run go on, it has those of its shards go on.
            ["states:RedriveExecution"],
            [arns.records_execution(scope, stage, of=SHARDS)],
            wildcard="Step Functions makes up the names of executions.",
        ),
    )


def take_up_records(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Find out why a run failed, have it go on, or end it: the commands of docs/operations.md."""
    return (
        allow(["states:ListExecutions"], [arns.records_state_machine(scope, stage)]),
        allow(
            [
                "states:DescribeExecution",
                "states:GetExecutionHistory",
                "states:RedriveExecution",
                "states:StopExecution",
            ],
            [arns.records_execution(scope, stage)],
            wildcard="Step Functions makes up the names of executions.",
        ),
    )


def repair_records(
    scope: Construct, stage: str, models: Iterable[ModelConfig]
) -> tuple[Permission, ...]:
    """Make records of a bad version again: read and write runs, and ask the stage's models.

    What is active and why, a role of people on call reads anyway.
    """
    return (*_write_runs(scope, stage), *permissions.call_models(scope, models))
