"""Executions of a stage's state machine, for who follows a run: whether one of them has failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

_FAILED: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")
NEWEST = 20
"""So many failed executions are looked at, the newest, to find one that never said its run."""


def execution_end(execution: str, stage: str | None) -> tuple[str, str, datetime | None] | None:
    """Return how an execution has failed and why, and when it was last redriven, if it was.

    None if it has not failed, or AWS does not tell.

    Args:
        execution: its ARN.
        stage: in whose account it is; by default in this process's.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = _client(stage, execution.split(":")[3])
        found = client.describe_execution(executionArn=execution)
    except (BotoCoreError, ClientError):
        return None  # what follows a run goes on without it
    if found["status"] not in _FAILED:
        return None
    return found["status"], found.get("error", ""), found.get("redriveDate")


def failed_execution(bucket: str, key: str, version: str, stage: str | None) -> str | None:
    """Return the failed execution of a dropped file; None if there is none, or AWS does not tell.

    One whose first container never ran has left no word in the run's folder: its input names the
    file.

    Args:
        bucket: the bucket of records that the file is in.
        key: the file's key.
        version: its version.
        stage: in whose account the bucket is; by default in this process's.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    name, account = aws_names.records_state_machine_of(bucket)
    try:
        client = _client(stage)
        where = f"{client.meta.partition}:states:{client.meta.region_name}:{account}"
        machine = f"arn:{where}:stateMachine:{name}"
        for status in _FAILED:
            found = client.list_executions(
                stateMachineArn=machine, statusFilter=status, maxResults=NEWEST
            )
            for each in found["executions"]:
                arn = each["executionArn"]
                given = client.describe_execution(executionArn=arn).get("input", "{}")
                if _is_of(json.loads(given), key, version):
                    return arn
    except (BotoCoreError, ClientError):
        pass  # what follows a run goes on without it
    return None


def _is_of(event: object, key: str, version: str) -> bool:
    match event:
        case {"detail": {"object": {"key": str() as of_key, "version-id": str() as of_version}}}:
            return (of_key, of_version) == (key, version)
    return False


def _client(stage: str | None, region: str | None = None) -> SFNClient:
    import boto3

    from prompt_hub.ledger.stage_session import session_of

    return (session_of(stage) or boto3).client("stepfunctions", region_name=region)
