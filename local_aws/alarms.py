"""CloudWatch metric alarms that are really evaluated, and that really act.

Unpatched, the emulator ignores dimensions, `DatapointsToAlarm` and `TreatMissingData`, never looks
at an alarm unless new data arrives, and knows no Lambda action and no state change event.

How this differs from CloudWatch's own clock: CloudWatch evaluates about once a minute. Here an
alarm is evaluated with every PutMetricData and once a second, so that a breach acts within the
second. As on CloudWatch (`SlidingWindow`, its default), periods trail back from *now*, a few more
than `EvaluationPeriods` are looked at, and missing data counts only when those hold too few
datapoints. Of metric math `metric_math` knows what the project's own alarms use; another expression
is refused when its alarm is made. Anomaly bands and composite rules are not evaluated.
"""

from __future__ import annotations

import json
import logging
import operator
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ministack.core.arn import parse_arn
from ministack.core.concurrency import spawn_background
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, eventbridge, sns
from ministack.services.cloudformation import provisioners

from local_aws import alarm_metrics, functions
from local_aws.alarm_metrics import Alarm, Datapoint, datapoints, statistic_of
from local_aws.background import Repeating
from local_aws.permission_checks import Check
from local_aws.service_roles import require_of_resource
from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.alarms")

EVALUATE_EVERY = 1.0
"""Seconds between two evaluations of an alarm that receives no data."""

_loop: Repeating | None = None

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_ACTION_FIELDS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
_TRIGGER = (
    *("Namespace", "MetricName", "Unit", "Period", "EvaluationPeriods", "DatapointsToAlarm"),
    *("ComparisonOperator", "Threshold", "TreatMissingData"),
)


@dataclass(frozen=True)
class State:
    """What an alarm said at one time: the form events carry it in."""

    value: str
    reason: str
    reason_data: str | None
    at: float

    @classmethod
    def of(cls, alarm: Alarm) -> State:
        """Return the present state of `alarm`."""
        return cls(
            alarm["StateValue"],
            alarm["StateReason"],
            alarm.get("StateReasonData"),
            float(alarm.get("StateUpdatedTimestamp") or time.time()),
        )

    def as_event(self) -> dict[str, str]:
        """Return the state as CloudWatch writes it into the events for Lambda and EventBridge."""
        event = {"value": self.value, "reason": self.reason, "timestamp": _iso(self.at)}
        return event | ({"reasonData": self.reason_data} if self.reason_data else {})


def verdict(
    breaching: list[tuple[int, bool]], *, needed: int, periods: int, missing: str, present: str
) -> str:
    """Return the state that M-of-N evaluation gives.

    `breaching` holds (age in periods, breaches?) of the datapoints found, newest first; `needed`
    is M, `periods` is N, `missing` the TreatMissingData setting and `present` the state so far.
    Follows the tables "How alarm state is evaluated when data is missing" of CloudWatch's guide.
    """
    found = breaching[:periods]
    bad = [age for age, breaches in found if breaches]
    unknown = periods - len(found)
    if len(bad) >= needed or (missing == "breaching" and len(bad) + unknown >= needed):
        return "ALARM"
    if len(bad) < len(found) or missing in ("breaching", "notBreaching"):
        return "OK"
    if missing == "ignore":
        return present
    if not found:
        return "INSUFFICIENT_DATA"
    # Only breaching datapoints, but fewer than M: CloudWatch waits until the oldest is M periods
    # old, so that the first datapoint after a gap does not raise an alarm before its time.
    return "ALARM" if max(bad) >= needed - 1 else present


def install(settings: CloudSettings) -> None:
    """Replace the emulator's alarm evaluation and actions."""
    global _loop
    functions.install()
    evaluator = Evaluator()
    cloudwatch._evaluate_alarm = evaluator.evaluate
    cloudwatch._dispatch_alarm_actions = evaluator.announce
    cloudwatch._set_alarm_state = evaluator.holding(cloudwatch._set_alarm_state)
    cloudwatch._put_metric_alarm = alarm_metrics.put_with(cloudwatch._put_metric_alarm)
    provisioners._cw_metric_alarm_record = alarm_metrics.made_with(
        provisioners._cw_metric_alarm_record
    )
    _loop = Repeating("alarms", EVALUATE_EVERY, cloudwatch._evaluate_all_alarms, settings)


def start() -> None:
    """Evaluate every second from now on: the saved state is back, so actions find their targets."""
    assert _loop is not None
    _loop.start()


def stop() -> None:
    """Evaluate no more."""
    assert _loop is not None
    _loop.stop()


class Evaluator:
    """Evaluates alarms, remembers what they last said, announces each change once.

    The state itself stays in the emulator's alarm record, which is saved with the emulator: after
    a restart an alarm is still in ALARM, and because only a *change* acts, nothing fires again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._said: dict[str, State] = {}
        self._held: dict[str, float] = {}

    def evaluate(self, alarm: Alarm) -> None:
        """Evaluate one alarm now; on a change record it, act on it, and tell its parents."""
        with self._lock:
            if cloudwatch._alarms.get(alarm["AlarmName"]) is not alarm:
                return  # replaced by PutMetricAlarm while this evaluation waited
            compare = _COMPARISONS.get(alarm.get("ComparisonOperator", ""))
            if compare is None or not alarm_metrics.is_evaluated(alarm):
                return
            now = time.time()
            if now < self._held.get(alarm["AlarmArn"], 0.0):
                return
            before = self._said[alarm["AlarmArn"]] = State.of(alarm)
            breaches, words = compare
            points = datapoints(alarm, now)
            new_value = verdict(
                [(point.age, breaches(point.value, alarm["Threshold"])) for point in points],
                needed=alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"],
                periods=alarm["EvaluationPeriods"],
                missing=alarm.get("TreatMissingData") or "missing",
                present=before.value,
            )
            if new_value == before.value:
                return
            used = points[: alarm["EvaluationPeriods"]]
            alarm["StateValue"] = new_value
            alarm["StateReason"] = _reason(alarm, used, new_value, words)
            alarm["StateReasonData"] = _reason_data(alarm, used, now)
            alarm["StateUpdatedTimestamp"] = alarm["StateTransitionedTimestamp"] = now
            cloudwatch._record_history(
                alarm["AlarmName"],
                before.value,
                new_value,
                alarm["StateReason"],
                reason_data=json.loads(alarm["StateReasonData"]),
            )
            self.announce(alarm, before.value, new_value, alarm["StateReason"])
            cloudwatch._evaluate_parent_alarms(alarm)

    def announce(self, alarm: Alarm, old_value: str, new_value: str, reason: str) -> None:
        """Put the state change on the default event bus and run the actions of the new state."""
        before = self._said.get(alarm["AlarmArn"])
        if before is None or before.value != old_value:
            before = State(old_value, "", None, time.time())
        self._said[alarm["AlarmArn"]] = now = State.of(alarm)
        logger.info("alarm %s: %s -> %s: %s", alarm["AlarmName"], old_value, new_value, reason)
        # Never on the event loop: a Lambda that calls back into the emulator would wait for ever.
        spawn_background(_act, dict(alarm), before, now, thread_name="alarm-actions")

    def holding(self, set_alarm_state: Callable[..., object]) -> Callable[..., object]:
        """SetAlarmState as on AWS: the state stays until the next evaluation is due.

        CloudWatch evaluates once a minute, or once a period where that is shorter; evaluating
        every second would undo a state set by hand before anything could act on it.
        """

        def set_and_hold(
            params: dict[str, object], body: dict[str, str], *protocol: object
        ) -> object:
            name = body.get("AlarmName") or cloudwatch._p(params, "AlarmName")
            alarm: Alarm | None = cloudwatch._alarms.get(name)
            with self._lock:
                if alarm is not None:
                    self._said[alarm["AlarmArn"]] = State.of(alarm)
                    wait = min(alarm.get("Period", 60), 60)
                    self._held[alarm["AlarmArn"]] = time.time() + wait
                return set_alarm_state(params, body, *protocol)

        return set_and_hold


def _reason(alarm: Alarm, points: list[Datapoint], new_value: str, words: str) -> str:
    """Return the sentence that says why, in CloudWatch's manner."""
    periods, missing = alarm["EvaluationPeriods"], alarm["EvaluationPeriods"] - len(points)
    if new_value == "INSUFFICIENT_DATA":
        return f"Insufficient Data: no datapoint in {periods} periods."
    listed = ", ".join(f"{p.value} ({datetime.fromtimestamp(p.start, UTC):%F %T})" for p in points)
    relation = words if new_value == "ALARM" else f"not all {words}"
    treated = f"; {missing} missing, treated as {alarm['TreatMissingData']}" if missing else ""
    return (
        f"Threshold Crossed: {len(points)} out of the last {periods} datapoints [{listed}] "
        f"{relation} the threshold ({alarm['Threshold']}){treated}."
    )


def _reason_data(alarm: Alarm, points: list[Datapoint], now: float) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": _iso(now),
            "startDate": _iso(points[-1].start if points else now),
            **({} if alarm.get("Metrics") else {"statistic": statistic_of(alarm)}),
            "period": alarm["Period"],
            "recentDatapoints": [point.value for point in reversed(points)],
            "threshold": alarm["Threshold"],
            "evaluatedDatapoints": [
                {"timestamp": _iso(p.start), "sampleCount": p.samples, "value": p.value}
                for p in points
            ],
        }
    )


def _act(alarm: Alarm, before: State, now: State) -> None:
    """Everything a state change sets off. One failing action never keeps the others from running.

    As on AWS the event goes out even when the alarm's actions are disabled.
    """
    data: dict[str, object] = {
        "alarmName": alarm["AlarmName"],
        "state": now.as_event(),
        "previousState": before.as_event(),
        "configuration": alarm_metrics.configuration(alarm),
    }
    eventbridge._put_events(
        {
            "Entries": [
                {
                    "Source": "aws.cloudwatch",
                    "DetailType": "CloudWatch Alarm State Change",
                    "Resources": [alarm["AlarmArn"]],
                    "Detail": json.dumps(data),
                }
            ]
        },
        allow_aws_source=True,
    )
    if not alarm.get("ActionsEnabled", True):
        return
    for action in alarm.get(_ACTION_FIELDS[now.value]) or []:
        try:
            match parse_arn(action).service:
                case "lambda":
                    invoke = Check(action="lambda:InvokeFunction", resource=action)
                    source = "lambda.alarms.cloudwatch.amazonaws.com"
                    require_of_resource(invoke, source, alarm["AlarmArn"])
                    functions.invoke(action, _lambda_event(alarm, now, data))
                case "sns":
                    publish = Check(action="sns:Publish", resource=action)
                    require_of_resource(publish, "cloudwatch.amazonaws.com", alarm["AlarmArn"])
                    _publish(action, alarm, before, now)
                case other:
                    logger.error("alarm %s: no such action: %s", alarm["AlarmName"], other)
        except Exception:
            logger.exception("alarm %s: action %s failed", alarm["AlarmName"], action)


def _lambda_event(alarm: Alarm, now: State, data: dict[str, object]) -> dict[str, object]:
    """Return the event with which CloudWatch invokes a Lambda function."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": get_account_id(),
        "time": _iso(now.at),
        "region": get_region(),
        "alarmData": data,
    }


def _publish(topic: str, alarm: Alarm, before: State, now: State) -> None:
    """Publish CloudWatch's JSON notification to an SNS topic."""
    trigger = {name: alarm.get(name) for name in _TRIGGER}
    message = {
        **{name: alarm.get(name) for name in ("AlarmName", "AlarmDescription", "AlarmArn")},
        **{name: alarm.get(name, []) for name in _ACTION_FIELDS.values()},
        "AWSAccountId": get_account_id(),
        "Region": get_region(),
        "NewStateValue": now.value,
        "NewStateReason": now.reason,
        "OldStateValue": before.value,
        "StateChangeTime": _iso(now.at),
        "Trigger": trigger | _measured(alarm),
    }
    subject = f'{now.value}: "{alarm["AlarmName"]}" in {get_region()}'[:100]
    sns._fanout(topic, str(uuid.uuid4()), json.dumps(message), subject)


def _measured(alarm: Alarm) -> dict[str, object]:
    """Return what a notification says an alarm looks at: its metric, or the list with its maths."""
    if metrics := alarm.get("Metrics"):
        return {"Metrics": metrics}
    dimensions = alarm.get("Dimensions") or []
    return {
        "StatisticType": "Statistic",
        "Statistic": alarm["Statistic"].upper(),
        "Dimensions": [{"name": each["Name"], "value": each["Value"]} for each in dimensions],
    }


def _iso(at: float) -> str:
    """Return a time in the form of CloudWatch's events: 2026-11-22T12:30:00.000+0000."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
