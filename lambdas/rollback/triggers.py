"""What makes the Lambda look at a task: a round of the score watch, an alarm, or the sweep.

Alarms are those on scores and those on live calls that break their contract.

An event only names whom to look at: what is done is decided on the ledger, so that every order of
them, and any number of repetitions, comes to the same. An alarm's event is taken at its word:
CloudWatch's answer to a read may lag behind the event that it has just sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from decision import Alarm, Decision, Window, nothing, refusal
from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef


class TriggerKind(StrEnum):
    """Who called."""

    ROUND = "round"
    ALARM = "alarm"
    SWEEP = "sweep"


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A task to look at, and who asked for it: `at` is when its alarm went off, if one did.

    `calls`: its live calls are what went wrong.
    """

    kind: TriggerKind
    task: str
    alarm: str
    at: str
    calls: bool = False

    def to_evidence(self) -> dict[str, object]:
        """Return what the history keeps of it."""
        return {"alarm": self.alarm, "trigger": {"kind": self.kind.value, "at": self.at}}


def triggers(
    event: Mapping[str, object],
    *,
    account: str,
    stage: str,
    firing: Callable[[], Iterable[Alarm]],
) -> Iterator[Trigger | Decision]:
    """Yield the tasks that an event speaks of, or why there is none.

    `firing` reads the stage's alarms that are in ALARM; only the sweep asks for them.
    """
    match event.get("source"):
        case aws_names.EVENT_SOURCE_WATCH:
            yield _round(event, stage)
        case "aws.cloudwatch":
            yield _alarm(event, account, stage)
        case _ if is_sweep(event):
            found = list(firing())
            if not found:
                yield nothing("all-quiet", f"no alarm on a prompt of {stage} is firing")
            for alarm in found:
                yield _accepted(alarm, stage, TriggerKind.SWEEP)
        case source:
            yield nothing(
                "unknown-event", f"an event from {source!r} is neither round, alarm nor schedule"
            )


def is_sweep(event: Mapping[str, object]) -> bool:
    """Whether an event is that of the schedule."""
    return event.get("source") == "aws.events"


def _round(event: Mapping[str, object], stage: str) -> Trigger | Decision:
    task = event.get("task")
    if not isinstance(task, str) or not task:
        return nothing("no-task", f"a round of the score watch names no task: {task!r}")
    alarm = aws_names.score_alarm(stage, task)
    return Trigger(kind=TriggerKind.ROUND, task=task, alarm=alarm, at="")


def _alarm(event: Mapping[str, object], account: str, stage: str) -> Trigger | Decision:
    if event.get("accountId") != account:
        return nothing("other-account", f"the alarm is of account {event.get('accountId')}")
    data = _mapping(event.get("alarmData"))
    name, state = str(data.get("alarmName", "")), _mapping(data.get("state"))
    if state.get("value") != "ALARM":
        return nothing("not-alarm", f"{name} went to {state.get('value')}: only ALARM is acted on")
    metric = _metric(data)
    return _accepted(
        Alarm(
            name=name,
            state="ALARM",
            namespace=str(metric.get("namespace", "")),
            metric=str(metric.get("name", "")),
            dimensions={
                dimension: str(value)
                for dimension, value in _mapping(metric.get("dimensions")).items()
            },
            since=str(state.get("timestamp", "")),
        ),
        stage,
        TriggerKind.ALARM,
    )


def _metric(data: Mapping[str, object]) -> Mapping[str, object]:
    """Return the one metric that an alarm watches, or its expression; else an empty mapping."""
    metrics = _mapping(data.get("configuration")).get("metrics")
    queries = map(_mapping, metrics) if isinstance(metrics, list) else ()
    found = [
        _mapping(_mapping(query["metricStat"]).get("metric"))
        for query in queries
        if "metricStat" in query
    ]
    return found[0] if found and found.count(found[0]) == len(found) else {}


def _accepted(alarm: Alarm, stage: str, kind: TriggerKind) -> Trigger | Decision:
    refused = refusal(alarm, stage)
    if refused is not None:
        return refused
    return Trigger(
        kind=kind, task=alarm.task, alarm=alarm.name, at=alarm.since, calls=alarm.of_calls
    )


def firing_alarms(client: CloudWatchClient, stage: str) -> list[Alarm]:
    """Read the alarms on scores and on calls of `stage` that are in ALARM."""
    paginator = client.get_paginator("describe_alarms")
    return [
        _described(alarm)
        for prefix in (aws_names.score_alarm_prefix(stage), aws_names.contract_alarm_prefix(stage))
        for page in paginator.paginate(AlarmNamePrefix=prefix, StateValue="ALARM")
        for alarm in page["MetricAlarms"]
    ]


def _described(alarm: MetricAlarmTypeDef) -> Alarm:
    since = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    queries = alarm.get("Metrics") or []
    metrics = [query["MetricStat"]["Metric"] for query in queries if "MetricStat" in query]
    if metrics and metrics.count(metrics[0]) == len(metrics):
        found = metrics[0]
    else:
        found = {
            "Namespace": alarm.get("Namespace", ""),
            "MetricName": alarm.get("MetricName", ""),
            "Dimensions": alarm.get("Dimensions", []),
        }
    return Alarm(
        name=alarm["AlarmName"],
        state=alarm["StateValue"],
        namespace=found.get("Namespace", ""),
        metric=found.get("MetricName", ""),
        dimensions={
            dimension["Name"]: dimension["Value"] for dimension in found.get("Dimensions", [])
        },
        since=since.isoformat(),
    )


def read_windows(folder: Path) -> dict[str, Window]:
    """Read what the function was deployed with: what a breach is, and how often there is a sample.

    Neither a round nor an alarm's event says it.
    """
    content = json.loads((folder / aws_names.WINDOWS_FILE).read_text(encoding="utf-8"))
    return {
        task: Window(to_alarm=to_alarm, of_last=of_last, every_minutes=every_minutes)
        for task, (to_alarm, of_last, every_minutes) in content.items()
    }


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
