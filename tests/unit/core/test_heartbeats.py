"""Heartbeats as CloudWatch is sent them: one form for who expects them and for who gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from prompt_hub.core.heartbeats import Heartbeat, count_heartbeats, heartbeats
from tests.unit.monitoring.watch_stage import Metrics

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_what_is_due_and_what_is_there_differ_in_their_value_alone() -> None:
    (due,) = heartbeats("dev", ["brand"], 0)
    (there,) = heartbeats("dev", ["brand"], 1)
    assert due == {**there, "Value": 0}
    assert there["Value"] == 1


@pytest.mark.parametrize("value", [0, 1])
def test_more_tasks_than_a_request_takes_are_all_counted(
    metrics: Metrics, value: Heartbeat
) -> None:
    tasks = [f"task-{number:04}" for number in range(1_201)]
    count_heartbeats(cast("CloudWatchClient", metrics), "dev", tasks, value)
    assert metrics.tasks("WatchHeartbeat") == tasks
    assert metrics.requests == [500, 500, 201]


def test_of_no_task_nothing_is_sent(metrics: Metrics) -> None:
    count_heartbeats(cast("CloudWatchClient", metrics), "dev", [], 0)
    assert metrics.requests == []
