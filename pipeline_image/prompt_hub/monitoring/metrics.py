"""The score watch's metrics: what alarms look at, and what graphs show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.heartbeats import heartbeats
from prompt_hub.monitoring.monitor import Measurement, MonitorRun

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDatumTypeDef


def metric_data(round_: MonitorRun, stage: str) -> list[MetricDatumTypeDef]:
    """Score, threshold and margin of each version; by task alone only those of the active one."""
    of_task = _of(round_.active, _dimensions(stage, round_.task))
    return of_task + version_data(round_, stage)


def version_data(round_: MonitorRun, stage: str) -> list[MetricDatumTypeDef]:
    """Score, threshold and margin of each version, at which no alarm looks."""
    data: list[MetricDatumTypeDef] = []
    for reading in round_.readings:
        data += _of(reading, _dimensions(stage, round_.task, reading.carried.version))
    return data


def publish(client: CloudWatchClient, round_: MonitorRun, stage: str) -> None:
    """Publish a round in one request: all of it or nothing."""
    data = [*metric_data(round_, stage), *heartbeats(stage, [round_.task], 1)]
    client.put_metric_data(Namespace=aws_names.metric_namespace(), MetricData=data)


def publish_of_versions(client: CloudWatchClient, round_: MonitorRun, stage: str) -> None:
    """Publish a round of a version that is not active any more: graphs have it, no alarm."""
    data = [*version_data(round_, stage), *heartbeats(stage, [round_.task], 1)]
    client.put_metric_data(Namespace=aws_names.metric_namespace(), MetricData=data)


def publish_refusal(client: CloudWatchClient, stage: str, task: str) -> None:
    """Say that a round of `task` was refused: its day has no calls left."""
    of_stage: list[DimensionTypeDef] = [{"Name": aws_names.DIMENSION_STAGE, "Value": stage}]
    refused = aws_names.METRIC_ROUNDS_REFUSED
    data: list[MetricDatumTypeDef] = [
        {"MetricName": refused, "Dimensions": dimensions, "Value": 1, "Unit": "Count"}
        for dimensions in (_dimensions(stage, task), of_stage)
    ]
    client.put_metric_data(
        Namespace=aws_names.metric_namespace(), MetricData=[*data, *heartbeats(stage, [task], 1)]
    )


def _of(reading: Measurement, dimensions: list[DimensionTypeDef]) -> list[MetricDatumTypeDef]:
    values = {
        aws_names.METRIC_SCORE: reading.score,
        aws_names.METRIC_THRESHOLD: reading.carried.threshold,
        aws_names.METRIC_SCORE_MARGIN: reading.margin,
    }
    return [
        {"MetricName": metric, "Dimensions": dimensions, "Value": value, "Unit": "None"}
        for metric, value in values.items()
    ]


def _dimensions(stage: str, task: str, version: str | None = None) -> list[DimensionTypeDef]:
    dimensions: list[DimensionTypeDef] = [
        {"Name": aws_names.DIMENSION_STAGE, "Value": stage},
        {"Name": aws_names.DIMENSION_TASK, "Value": task},
    ]
    if version is not None:
        dimensions.append({"Name": aws_names.DIMENSION_VERSION, "Value": version})
    return dimensions
