"""Metrics that AWS's services publish by themselves, where our dashboards show them.

The emulator publishes some of Lambda's alone, the load balancer counts its targets. Here are
builds, executions that failed, runs of functions, messages, requests to tables, and what the load
balancer forwards. Values are kept by the minute, as AWS has them: a table is asked twice a second,
and each value of its own would be written with the emulator's state.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, dynamodb, sns

from local_aws.background import Repeating
from local_aws.settings import CloudSettings

STORED_EVERY = 5.0
"""Seconds between two times at which what was counted can be read."""

_READS = ("GetItem", "Query")
_WRITES = ("PutItem", "UpdateItem", "TransactWriteItems")
_counted: dict[tuple[str, str, str, tuple[tuple[str, str], ...], int], Counter[float]] = {}
_lock = threading.Lock()
_settings: CloudSettings
_storing: Repeating

Response = tuple[int, dict[str, str], str | bytes]
"""What the emulator answers a request with: status, headers, body."""
Json = dict[str, Any]


def install(settings: CloudSettings) -> None:
    """Count what tables are asked and what topics are told."""
    global _settings, _storing
    _settings = settings
    _storing = Repeating("service-metrics", STORED_EVERY, store, settings)
    sns._fanout = _of_messages(sns._fanout)
    dynamodb._get_item = _of_requests("GetItem", dynamodb._get_item)
    dynamodb._query = _of_requests("Query", dynamodb._query)
    dynamodb._put_item = _of_requests("PutItem", dynamodb._put_item)
    dynamodb._update_item = _of_requests("UpdateItem", dynamodb._update_item)
    dynamodb._transact_write_items = _of_requests(
        "TransactWriteItems", dynamodb._transact_write_items
    )


def start() -> None:
    """Store what was counted from now on."""
    _storing.start()


def stop() -> None:
    """Store the rest."""
    _storing.stop()
    with request_scope(_settings.account, _settings.region):
        store()


def count(
    namespace: str, name: str, unit: str, dimensions: Mapping[str, str], value: float = 1.0
) -> None:
    """Count a value of a metric, now; may be called from any thread."""
    minute = int(time.time() // 60) * 60
    key = (namespace, name, unit, tuple(dimensions.items()), minute)
    with _lock:
        _counted.setdefault(key, Counter())[value] += 1


def store() -> None:
    """Give CloudWatch what was counted; alarms look at it within the second."""
    with _lock:
        counted = dict(_counted)
        _counted.clear()
    for (namespace, name, unit, dimensions, minute), values in counted.items():
        cloudwatch._store_datum(
            namespace,
            name,
            dict(dimensions),
            minute,
            unit,
            None,
            list(values),
            list(map(float, values.values())),
            None,
        )


def count_build(project: str, status: str, seconds: float) -> None:
    """Count a build that has ended."""
    dimensions = {"ProjectName": project}
    ended = "SucceededBuilds" if status == "SUCCEEDED" else "FailedBuilds"
    count("AWS/CodeBuild", "Builds", "Count", dimensions)
    count("AWS/CodeBuild", ended, "Count", dimensions)
    count("AWS/CodeBuild", "Duration", "Seconds", dimensions, round(seconds, 3))


def count_execution(pipeline: str, status: str) -> None:
    """Count an execution of a pipeline that has ended, if it ended red."""
    if status == "Failed":
        dimensions = {"PipelineName": pipeline}
        count("AWS/CodePipeline", "FailedPipelineExecutions", "Count", dimensions)


def count_run(function: str, milliseconds: float, *, failed: bool, throttled: bool) -> None:
    """Count a run of a function, retries included; a throttled call did not run."""
    dimensions = {"FunctionName": function}
    count("AWS/Lambda", "Throttles", "Count", dimensions, float(throttled))
    if throttled:
        return
    count("AWS/Lambda", "Invocations", "Count", dimensions)
    count("AWS/Lambda", "Errors", "Count", dimensions, float(failed))
    count("AWS/Lambda", "Duration", "Milliseconds", dimensions, round(milliseconds, 3))


def count_connection(balancer: str) -> None:
    """Count a connection that a client has made."""
    count("AWS/ApplicationELB", "NewConnectionCount", "Count", {"LoadBalancer": balancer})


def count_answer(balancer: str, group: str, status: int, seconds: float) -> None:
    """Count an answer of a target, and the request before it."""
    dimensions = {"LoadBalancer": balancer, "TargetGroup": group}
    code = f"HTTPCode_Target_{status // 100}XX_Count"
    count("AWS/ApplicationELB", "RequestCount", "Count", dimensions)
    count("AWS/ApplicationELB", code, "Count", dimensions)
    count("AWS/ApplicationELB", "TargetResponseTime", "Seconds", dimensions, round(seconds, 6))


def _of_messages(fan_out: Callable[..., None]) -> Callable[..., None]:
    def fan_out_and_count(topic: str, id_: str, message: str, *rest: Any, **named: Any) -> None:  # noqa: ANN401 - the emulator's
        dimensions = {"TopicName": topic.rpartition(":")[2]}
        count("AWS/SNS", "NumberOfMessagesPublished", "Count", dimensions)
        count("AWS/SNS", "PublishSize", "Bytes", dimensions, len(message.encode()))
        fan_out(topic, id_, message, *rest, **named)

    return fan_out_and_count


def _of_requests(operation: str, answer: Callable[[Json], Response]) -> Callable[[Json], Response]:
    """Measure the answers to an operation; what they consumed is asked for and, if new, removed."""

    def answer_and_count(data: Json) -> Response:
        asked = data.get("ReturnConsumedCapacity", "NONE") != "NONE"
        began = time.perf_counter()
        status, headers, body = answer(
            data if asked else {**data, "ReturnConsumedCapacity": "TOTAL"}
        )
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        if status != 200:
            return status, headers, body
        answered: Json = json.loads(body)
        used = answered.get("ConsumedCapacity") or []
        for table in used if isinstance(used, list) else [used]:
            of_table = {"TableName": table["TableName"].rpartition("/")[2]}
            of_operation = {**of_table, "Operation": operation}
            count(
                "AWS/DynamoDB",
                "SuccessfulRequestLatency",
                "Milliseconds",
                of_operation,
                milliseconds,
            )
            name = f"Consumed{'Read' if operation in _READS else 'Write'}CapacityUnits"
            count("AWS/DynamoDB", name, "Count", of_table, float(table["CapacityUnits"]))
        if asked:
            return status, headers, body
        answered.pop("ConsumedCapacity", None)
        return status, headers, json.dumps(answered).encode()

    return answer_and_count
