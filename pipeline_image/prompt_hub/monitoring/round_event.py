"""The score watch's call of the rollback Lambda: a round is over, look at its task.

Without it a rollback waits for CloudWatch: until the metric has arrived, until the alarm is
evaluated, and for the next sweep where the alarm was in ALARM already.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def connect() -> LambdaClient:
    """Return a client that gives up soon: the alarm does the same a minute later."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.client("lambda", config=config)


def round_event(task: str) -> dict[str, str]:
    """Return the event; it names the task only, for what is done is decided on the ledger."""
    return {"source": aws_names.EVENT_SOURCE_WATCH, "task": task}


def ask_for_rollback(client: LambdaClient, stage: str, task: str) -> bool:
    """Ask the Lambda of `stage` to look at `task`; whether it was reached.

    Never raises. Lambda queues the event and tries again by itself what fails; where it cannot be
    reached, the score alarm calls it.
    """
    function = aws_names.rollback_function(stage)
    try:
        client.invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps(round_event(task)).encode(),
        )
    except Exception as error:
        print(
            f"WARNING: {function} could not be asked to look at {task}:"
            f" {type(error).__name__}; its score alarm does that within minutes.",
            file=sys.stderr,
        )
        return False
    return True
