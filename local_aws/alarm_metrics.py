"""What an alarm looks at: one metric, or an expression over several, as the emulator keeps them.

The emulator's own alarms know one metric each: it refuses a template's list of metrics, and of one
in PutMetricAlarm it says nothing. What is not evaluated here is refused when the alarm is made.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch

from local_aws.metric_math import Expression, Series, UnsupportedMathError

EXTRA_PERIODS = 2
"""How many periods beyond `EvaluationPeriods` are searched for datapoints. AWS does not publish
the number; the examples in its documentation show two."""

Alarm = dict[str, Any]
"""The emulator's record of a metric alarm: what DescribeAlarms answers."""
Properties = dict[str, Any]
"""What a template or a request says of an alarm."""

_STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")


@dataclass(frozen=True)
class Datapoint:
    """The statistic over one period; `age` 0 is the period that ends now."""

    age: int
    start: float
    value: float
    samples: float


def is_evaluated(alarm: Alarm) -> bool:
    """Whether there is something that the alarm looks at; a composite one has nothing."""
    return bool(alarm.get("Metrics") or (alarm.get("Namespace") and alarm.get("MetricName")))


def statistic_of(alarm: Alarm) -> str:
    """Return the statistic of an alarm on one metric."""
    return str(alarm.get("ExtendedStatistic") or alarm["Statistic"])


def made_with(make: Callable[[str, Properties], Alarm]) -> Callable[[str, Properties], Alarm]:
    """Let a template's alarm name its metrics in a list, which the emulator's own refuses."""

    def make_with_metrics(name: str, properties: Properties) -> Alarm:
        try:
            said, metrics = _one_metric(properties)
        except UnsupportedMathError as error:
            raise ValueError(f"AWS::CloudWatch::Alarm {name}: {error}") from None
        # The emulator's own asks for a metric's name; none is called so.
        unnamed = {"Namespace": "-", "MetricName": "-"} if metrics else {}
        return _on(metrics, make(name, {**said, **unnamed}))

    return make_with_metrics


def put_with(put: Callable[..., object]) -> Callable[..., object]:
    """Let PutMetricAlarm take a list of metrics, too."""

    def put_with_metrics(
        params: object, body: Properties, is_cbor: bool, is_json: bool = False
    ) -> object:
        by_form = not (is_cbor or is_json)
        try:
            if by_form and cloudwatch._p(params, "Metrics.member.1.Id"):
                raise UnsupportedMathError("metrics in a list are read as CBOR or JSON only")
            said, metrics = ({}, []) if by_form else _one_metric(body)
        except UnsupportedMathError as error:
            return cloudwatch._error(
                "ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor
            )
        answer = put(params, body if by_form else said, is_cbor, is_json)
        if metrics and (alarm := cloudwatch._alarms.get(said["AlarmName"])):
            _on(metrics, alarm)
            cloudwatch._evaluate_alarm(alarm)
        return answer

    return put_with_metrics


def _one_metric(properties: Properties) -> tuple[Properties, list[Properties]]:
    """Return what the emulator can be told of an alarm, and the metrics of an expression.

    A list of one metric is that metric: CDK writes one where it has a label.
    """
    match properties.get("Metrics"):
        case None | []:
            return properties, []
        case [{"MetricStat": {"Metric": metric, "Stat": statistic, "Period": period}}]:
            kind = "Statistic" if statistic in _STATISTICS else "ExtendedStatistic"
            plain = {**metric, kind: statistic, "Period": period}
            return {**properties, **plain, "Metrics": None}, []
        case metrics:
            period = Expression.of(metrics).period
            return {**properties, "Period": period, "Metrics": None}, metrics


def _on(metrics: list[Properties], alarm: Alarm) -> Alarm:
    if metrics:
        alarm |= {"Namespace": None, "MetricName": None, "Metrics": metrics}
    return alarm


def datapoints(alarm: Alarm, now: float) -> list[Datapoint]:
    """Return what the alarm looks at for every recent period that has data, newest first."""
    period = int(alarm["Period"])
    periods = int(alarm["EvaluationPeriods"]) + EXTRA_PERIODS
    if not alarm.get("Metrics"):
        series = Series(
            namespace=alarm["Namespace"],
            metric=alarm["MetricName"],
            dimensions=alarm.get("Dimensions") or [],
            statistic=statistic_of(alarm),
            unit=alarm.get("Unit"),
        )
        return list(_points(series, period, periods, now).values())
    expression = Expression.of(alarm["Metrics"])
    found = {
        name: _points(series, period, periods, now) for name, series in expression.series.items()
    }
    points = []
    for age in range(periods):
        values = {name: of[age].value for name, of in found.items() if age in of}
        value = expression.value(values)
        if value is not None:
            samples = max(of[age].samples for of in found.values())
            points.append(Datapoint(age, now - (age + 1) * period, value, samples))
    return points


def _points(series: Series, period: int, periods: int, now: float) -> dict[int, Datapoint]:
    """Return the statistic of one metric by the age of its periods, youngest first."""
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(list(series.dimensions)))
    key = (series.namespace, series.metric, dimensions)
    buckets: dict[int, list[dict[str, object]]] = {}
    for point in list(cloudwatch._metrics.get(key) or []):
        age = int((now - point["Timestamp"]) // period)
        if 0 <= age < periods and series.unit in (None, point["Unit"]):
            buckets.setdefault(age, []).append(point)
    found = {}
    for age, points in sorted(buckets.items()):
        statistics = cloudwatch._calc_stats(points)
        value = cloudwatch._stat_value(statistics, series.statistic, points) if statistics else None
        if value is not None:
            start = now - (age + 1) * period
            found[age] = Datapoint(age, start, value, statistics["SampleCount"])
    return found


def configuration(alarm: Alarm) -> dict[str, object]:
    """Return what an alarm looks at as CloudWatch writes it into events."""
    if found := alarm.get("Metrics"):
        metrics = [_query(query) for query in found]
    else:
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"]))
        statistic = {"Metric": alarm, "Period": alarm.get("Period"), "Unit": alarm.get("Unit")}
        metrics = [_query({"Id": name, "MetricStat": statistic | {"Stat": statistic_of(alarm)}})]
    return {"description": alarm.get("AlarmDescription") or None, "metrics": metrics}


def _query(query: Properties) -> dict[str, object]:
    shown: dict[str, object] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "MetricStat" not in query:
        return shown | {"expression": query["Expression"], "label": query.get("Label")}
    statistic, metric = query["MetricStat"], query["MetricStat"]["Metric"]
    read: dict[str, object] = {
        "metric": {
            "namespace": metric.get("Namespace"),
            "name": metric.get("MetricName"),
            "dimensions": {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []},
        },
        "period": statistic.get("Period"),
        "stat": statistic.get("Stat"),
    }
    if statistic.get("Unit"):
        read["unit"] = statistic["Unit"]
    return shown | {"metricStat": read}
