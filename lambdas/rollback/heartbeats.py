"""What makes a watch that never began a silence: for each active version a heartbeat is due.

The score watch counts 1 for what it did for a task. The sweep, which runs without a container, an
image or a model, counts 0 for each task of which a version is active. So an alarm on the sum knows
silence from a task that has just been made, of which there is nothing to hear yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

_AT_ONCE = 500
"""Data in one request; CloudWatch takes 1,000."""


def expect_heartbeats(client: CloudWatchClient, stage: str, active: Iterable[str]) -> None:
    """Count 0 heartbeats of each of these tasks, which have an active version in `stage`."""
    data: list[MetricDatumTypeDef] = [
        {
            "MetricName": aws_names.METRIC_HEARTBEAT,
            "Dimensions": [
                {"Name": aws_names.DIMENSION_STAGE, "Value": stage},
                {"Name": aws_names.DIMENSION_TASK, "Value": task},
            ],
            "Value": 0,
            "Unit": "Count",
        }
        for task in sorted(active)
    ]
    for start in range(0, len(data), _AT_ONCE):
        client.put_metric_data(
            Namespace=aws_names.metric_namespace(), MetricData=data[start : start + _AT_ONCE]
        )
