"""Lines of logs that are metrics: as CloudWatch's specification has it, in a real emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_aws.embedded_metrics import metrics_in
from tests.local_aws.emulator import LocalAws

Line = dict[str, Any]


def a_line() -> Line:
    return {
        "_aws": {
            "Timestamp": time.time_ns() // 1_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "PromptHub/Calls",
                    "Dimensions": [["stage", "task"]],
                    "Metrics": [{"Name": "seconds", "Unit": "Seconds"}],
                }
            ],
        },
        "stage": "dev",
        "task": "maker",
        "seconds": 0.25,
    }


def dimension_missing(line: Line) -> None:
    del line["task"]


def dimension_is_a_number(line: Line) -> None:
    line["task"] = 1


def metric_is_null(line: Line) -> None:
    line["seconds"] = None


def metric_is_true(line: Line) -> None:
    line["seconds"] = True


def metric_is_infinite(line: Line) -> None:
    line["seconds"] = float("inf")


def no_timestamp(line: Line) -> None:
    del line["_aws"]["Timestamp"]


def metadata_in_words(line: Line) -> None:
    line["_aws"] = json.dumps(line["_aws"])


@pytest.mark.parametrize(
    "spoil",
    [
        dimension_missing,
        dimension_is_a_number,
        metric_is_null,
        metric_is_true,
        metric_is_infinite,
        no_timestamp,
        metadata_in_words,
    ],
)
def test_a_line_that_is_not_as_specified_is_no_metric(spoil: Callable[[Line], None]) -> None:
    line = a_line()
    assert len(metrics_in(json.dumps(line))) == 1
    spoil(line)
    assert metrics_in(json.dumps(line)) == []


@pytest.mark.parametrize("around", ["INFO {}", "[{}]", '{{"message": {}}}', "{} {}"])
def test_a_line_in_another_text_is_no_metric(around: str) -> None:
    line = json.dumps(a_line())
    assert metrics_in(around.format(line, line)) == []


def test_a_line_of_a_log_can_be_read_as_a_metric(aws: LocalAws) -> None:
    logs, cloudwatch = aws.client("logs"), aws.client("cloudwatch")
    logs.create_log_group(logGroupName="/embedded")
    logs.create_log_stream(logGroupName="/embedded", logStreamName="one")
    lines = [a_line() | {"seconds": seconds} for seconds in (1, 3, [5, 7])]
    logs.put_log_events(
        logGroupName="/embedded",
        logStreamName="one",
        logEvents=[
            {"timestamp": time.time_ns() // 1_000_000, "message": message}
            for message in ("no JSON", *map(json.dumps, lines))
        ],
    )
    now = datetime.now(UTC)
    found = cloudwatch.get_metric_statistics(
        Namespace="PromptHub/Calls",
        MetricName="seconds",
        Dimensions=[{"Name": "stage", "Value": "dev"}, {"Name": "task", "Value": "maker"}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10),
        Period=1200,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in found) == 4
    assert sum(point["Sum"] for point in found) == 16
