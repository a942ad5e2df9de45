"""Alarms on an expression over several metrics: as much of metric math as our own alarms use."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.local_aws.alarm_bench import OF_A_LIST, Bench, make_from_template
from tests.local_aws.emulator import LocalAws


@pytest.fixture
def bench(aws: LocalAws) -> Bench:
    return Bench(aws)


def share(name: str, expression: str = "IF(errors >= 3, 100 * errors / calls, 0)") -> list[Any]:
    """What an alarm on a share looks at: errors, and how many calls there were."""
    return [
        {"Id": "share", "Expression": expression, "ReturnData": True},
        *(
            {
                "Id": id_,
                "MetricStat": {
                    "Metric": {"Namespace": "PromptHub", "MetricName": f"{name}-{id_}"},
                    "Period": 60,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for id_ in ("errors", "calls")
        ),
    ]


def count(bench: Bench, id_: str, value: float) -> None:
    bench.cloudwatch.put_metric_data(
        Namespace="PromptHub", MetricData=[{"MetricName": f"{bench.name}-{id_}", "Value": value}]
    )


def put_share(bench: Bench, **changes: Any) -> None:
    settings = {
        "AlarmName": bench.name,
        "Metrics": share(bench.name),
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    bench.cloudwatch.put_metric_alarm(**(settings | changes))


@pytest.mark.parametrize("way", ["api", "template"])
def test_a_share_fires_beyond_its_least_count(bench: Bench, way: str) -> None:
    if way == "api":
        put_share(bench)
    else:
        wanted = {**OF_A_LIST, "AlarmName": bench.name, "Metrics": share(bench.name)}
        make_from_template(
            bench,
            wanted | {"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 5},
        )
    assert bench.state() == "OK"
    count(bench, "errors", 2)
    # One metric alone is no datapoint of an expression over two.
    assert "1 missing" in bench.described()["StateReason"]
    count(bench, "calls", 2)
    assert bench.state() == "OK", "both failed, and they are too few"
    count(bench, "errors", 1)
    assert bench.state() == "ALARM", "three of two: what was counted twice is more than all"
    count(bench, "calls", 98)
    assert bench.state() == "OK"
    described = bench.described()
    assert described["Metrics"] == share(bench.name)
    assert not described.get("MetricName")


def test_an_alarm_on_a_share_says_what_it_looks_at_to_whom_it_calls(bench: Bench) -> None:
    invoked, _ = bench.queue("-lambda")
    published, published_arn = bench.queue("-sns")
    sns = bench.aws.client("sns")
    topic = sns.create_topic(Name=bench.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=published_arn)
    put_share(bench, AlarmActions=[bench.function(invoked), topic])
    count(bench, "calls", 10)
    count(bench, "errors", 4)
    data = bench.received(invoked)["alarmData"]
    expression, errors, calls = data["configuration"]["metrics"]
    assert expression == {
        "id": "share",
        "expression": "IF(errors >= 3, 100 * errors / calls, 0)",
        "label": None,
        "returnData": True,
    }
    assert [query["metricStat"]["metric"]["name"] for query in (errors, calls)] == [
        f"{bench.name}-errors",
        f"{bench.name}-calls",
    ]
    reason = json.loads(data["state"]["reasonData"])
    assert reason["recentDatapoints"] == [40.0]
    assert "statistic" not in reason
    message = json.loads(bench.received(published)["Message"])
    assert message["Trigger"]["Metrics"] == share(bench.name)
    described = bench.described()
    # Made again while it fires: nothing changed, so nobody is called again.
    put_share(bench, AlarmActions=described["AlarmActions"])
    time.sleep(1.5)
    assert bench.state() == "ALARM"
    assert bench.left_over(invoked) == []


@pytest.mark.parametrize(
    "expression",
    [
        "SEARCH('{PromptHub}', 'Sum', 60)",
        "FILL(errors, 0)",
        "errors ^ 2",
        "errors > 1 > calls",
        "IF(errors, 1)",
        "others / calls",
        "errors / ",
    ],
)
@pytest.mark.parametrize("way", ["api", "template"])
def test_maths_that_is_not_known_is_refused_aloud(bench: Bench, expression: str, way: str) -> None:
    metrics = share(bench.name, expression)
    if way == "api":
        with pytest.raises(ClientError, match="ValidationError"):
            put_share(bench, Metrics=metrics)
    else:
        with pytest.raises(WaiterError):
            make_from_template(bench, {**OF_A_LIST, "AlarmName": bench.name, "Metrics": metrics})
        events = bench.aws.client("cloudformation").describe_stack_events(StackName=bench.name)
        reasons = [event.get("ResourceStatusReason", "") for event in events["StackEvents"]]
        assert any(bench.name in reason for reason in reasons)
    assert bench.cloudwatch.describe_alarms(AlarmNames=[bench.name])["MetricAlarms"] == []
