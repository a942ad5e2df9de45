"""What makes a watch that never began a silence: for each active version a heartbeat is due.

The score watch counts 1 for what it did for a task. The rollback Lambda's sweep, which runs without
a container, an image or a model, counts 0 for each task of which a version is active. So an alarm
on the sum knows silence from a task that has just been made, of which there is nothing to hear yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

Heartbeat = Literal[0, 1]
"""0 where one is due, 1 where it is there."""
_AT_ONCE = 500
"""Data in one request; CloudWatch takes 1,000, and a refusal of it would cost all of them."""


def heartbeats(stage: str, tasks: Iterable[str], value: Heartbeat) -> Iterator[MetricDatumTypeDef]:
    """Yield a heartbeat of each of these tasks in `stage`."""
    for task in tasks:
        yield {
            "MetricName": aws_names.METRIC_HEARTBEAT,
            "Dimensions": [
                {"Name": aws_names.DIMENSION_STAGE, "Value": stage},
                {"Name": aws_names.DIMENSION_TASK, "Value": task},
            ],
            "Value": value,
            "Unit": "Count",
        }


def count_heartbeats(
    client: CloudWatchClient, stage: str, tasks: Iterable[str], value: Heartbeat
) -> None:
    """Count a heartbeat of each of these tasks in `stage`; of none nothing is sent."""
    data = list(heartbeats(stage, tasks, value))
    for start in range(0, len(data), _AT_ONCE):
        client.put_metric_data(
            Namespace=aws_names.metric_namespace(), MetricData=data[start : start + _AT_ONCE]
        )
