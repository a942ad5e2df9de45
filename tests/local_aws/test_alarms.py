"""Alarms that are evaluated over real metric data and act: pure tables, then a real emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.alarms import verdict
from tests.local_aws.alarm_bench import OF_A_LIST, Bench, make_from_template
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually


def table(row: str) -> list[tuple[int, bool]]:
    """A row of CloudWatch's documentation ("0 - X": oldest first) as datapoints, newest first."""
    cells = list(enumerate(reversed(row.split())))
    return [(age, cell == "X") for age, cell in cells if cell != "-"]


@pytest.mark.parametrize(
    ("row", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "OK", "OK", "OK", "OK"),
        ("0 - - - -", "OK", "OK", "OK", "OK"),
        ("- - - - -", "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
        ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("- - X - -", "ALARM", "kept", "ALARM", "OK"),
    ],
)
def test_three_of_three_follows_the_documented_table(
    row: str, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    expected = {
        "missing": missing,
        "ignore": ignore,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }
    found = {
        setting: verdict(table(row), needed=3, periods=3, missing=setting, present="kept")
        for setting in expected
    }
    assert found == expected


@pytest.mark.parametrize(
    ("row", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 - X - -", "OK", "OK", "ALARM", "OK"),
        ("- - - - 0", "OK", "OK", "ALARM", "OK"),
        ("- - - X -", "ALARM", "kept", "ALARM", "OK"),
        ("- - - - X", "kept", "kept", "ALARM", "OK"),
    ],
)
def test_two_of_three_follows_the_documented_table(
    row: str, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    expected = {
        "missing": missing,
        "ignore": ignore,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }
    found = {
        setting: verdict(table(row), needed=2, periods=3, missing=setting, present="kept")
        for setting in expected
    }
    assert found == expected


@pytest.fixture
def bench(aws: LocalAws) -> Bench:
    return Bench(aws)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bench]:
    """A bench on an emulator of its own, which the test may stop."""
    aws = LocalAws(state=tmp_path / "state")
    aws.start()
    yield Bench(aws)
    aws.stop()


def test_only_the_exact_dimensions_count(bench: Bench) -> None:
    bench.alarm()
    bench.put(-1.0, task="another-task")
    bench.cloudwatch.put_metric_data(
        Namespace="PromptHub", MetricData=[{"MetricName": bench.name, "Value": -1.0}]
    )
    assert bench.state() != "ALARM"
    bench.put(-0.25)
    assert bench.state() == "ALARM"
    assert "-0.25" in bench.described()["StateReason"]


def test_average_over_the_period_and_back_to_ok(bench: Bench) -> None:
    bench.alarm()
    bench.put(-1.0)
    assert bench.state() == "ALARM"
    bench.put(3.0)  # the average of this minute is 1 now
    assert bench.state() == "OK"
    history = bench.cloudwatch.describe_alarm_history(
        AlarmName=bench.name, HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]
    assert "Alarm updated from ALARM to OK" in [item["HistorySummary"] for item in history]


@pytest.mark.parametrize(
    ("statistic", "operator", "threshold", "fires"),
    [
        ("Minimum", "LessThanThreshold", 1.5, True),
        ("Maximum", "GreaterThanOrEqualToThreshold", 4.0, True),
        ("Sum", "GreaterThanThreshold", 5.0, False),
        ("SampleCount", "LessThanOrEqualToThreshold", 2.0, True),
    ],
)
def test_statistics_and_operators(
    bench: Bench, statistic: str, operator: str, threshold: float, fires: bool
) -> None:
    bench.put(1.0)
    bench.put(4.0)
    bench.alarm(Statistic=statistic, ComparisonOperator=operator, Threshold=threshold)
    assert bench.state() == ("ALARM" if fires else "OK")


def test_m_of_n_counts_periods_not_samples(bench: Bench) -> None:
    bench.alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    for _ in range(3):
        bench.put(-1.0, seconds_ago=130)
    assert bench.state() == "OK"
    bench.put(1.0, seconds_ago=70)
    assert bench.state() == "OK"
    bench.put(-1.0)
    assert bench.state() == "ALARM"


def test_missing_data_is_treated_as_asked_without_any_new_data(bench: Bench) -> None:
    names = {}
    for treatment in ("breaching", "notBreaching", "missing", "ignore"):
        names[treatment] = f"{bench.name}-{treatment}"
        bench.alarm(AlarmName=names[treatment], Period=1, TreatMissingData=treatment)
    bench.put(1.0)
    expected = {
        names["breaching"]: "ALARM",
        names["notBreaching"]: "OK",
        names["missing"]: "INSUFFICIENT_DATA",
        names["ignore"]: "OK",
    }

    def states() -> dict[str, str]:
        found = bench.cloudwatch.describe_alarms(AlarmNames=list(names.values()))
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found["MetricAlarms"]}

    assert set(states().values()) == {"OK"}
    eventually(lambda: states() == expected, what="the states without data")


def test_a_transition_invokes_publishes_and_puts_an_event(bench: Bench) -> None:
    invoked, _ = bench.queue("-lambda")
    published, published_arn = bench.queue("-sns")
    bus, bus_arn = bench.queue("-events")
    function = bench.function(invoked)
    sns = bench.aws.client("sns")
    topic = sns.create_topic(Name=bench.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=published_arn)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="people@example.com")
    events = bench.aws.client("events")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [bench.name], "state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name=bench.name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=bench.name, Targets=[{"Id": "queue", "Arn": bus_arn}])
    bench.alarm(AlarmActions=[function, topic], AlarmDescription="score below threshold")

    bench.put(-0.5)

    event = bench.received(invoked)
    assert event["source"] == "aws.cloudwatch"
    assert event["alarmArn"] == f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{bench.name}"
    assert (event["accountId"], event["region"]) == (ACCOUNT, REGION)
    data = event["alarmData"]
    assert data["alarmName"] == bench.name
    assert data["state"]["value"] == "ALARM"
    assert data["state"]["reason"] == bench.described()["StateReason"]
    assert json.loads(data["state"]["reasonData"])["recentDatapoints"] == [-0.5]
    assert data["previousState"]["value"] == "OK"
    metric = data["configuration"]["metrics"][0]["metricStat"]["metric"]
    assert metric == {
        "namespace": "PromptHub",
        "name": bench.name,
        "dimensions": {"Stage": "beta", "Task": "part-class"},
    }

    message = json.loads(bench.received(published)["Message"])
    assert (message["OldStateValue"], message["NewStateValue"]) == ("OK", "ALARM")
    assert {"name": "Task", "value": "part-class"} in message["Trigger"]["Dimensions"]

    put = bench.received(bus)
    assert (put["source"], put["detail-type"]) == (
        "aws.cloudwatch",
        "CloudWatch Alarm State Change",
    )
    assert put["resources"] == [event["alarmArn"]]
    assert put["detail"]["previousState"]["value"] == "OK"

    bench.put(-0.6)  # still ALARM: nothing may fire again
    time.sleep(1.5)
    assert [bench.left_over(url) for url in (invoked, published, bus)] == [[], [], []]


def test_a_failing_function_ends_at_its_destination_and_in_the_log(bench: Bench) -> None:
    invoked, _ = bench.queue("-lambda")
    dead, dead_arn = bench.queue("-dead")
    function = bench.function(invoked, FAIL="1")
    bench.aws.client("lambda").put_function_event_invoke_config(
        FunctionName=bench.name,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": dead_arn}},
    )
    bench.alarm(AlarmActions=[function])
    bench.put(-0.5)
    record = bench.received(dead)
    assert record["requestPayload"]["alarmData"]["alarmName"] == bench.name
    attempts = [bench.received(invoked)["alarmData"]["state"]["value"] for _ in range(2)]
    assert attempts == ["ALARM", "ALARM"]
    logged = bench.aws.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{bench.name}", filterPattern=""
    )["events"]
    assert any("asked to fail" in event["message"] for event in logged)
    assert "asked to fail" in bench.aws.log.read_text()


def test_set_alarm_state_acts_and_holds_and_disabled_actions_do_not(bench: Bench) -> None:
    invoked, _ = bench.queue("-lambda")
    bench.alarm(AlarmActions=[bench.function(invoked)])
    bench.cloudwatch.disable_alarm_actions(AlarmNames=[bench.name])
    bench.cloudwatch.set_alarm_state(
        AlarmName=bench.name, StateValue="ALARM", StateReason="disabled"
    )
    bench.cloudwatch.set_alarm_state(AlarmName=bench.name, StateValue="OK", StateReason="back")
    bench.cloudwatch.enable_alarm_actions(AlarmNames=[bench.name])
    bench.cloudwatch.set_alarm_state(AlarmName=bench.name, StateValue="ALARM", StateReason="drill")
    event = bench.received(invoked)
    assert event["alarmData"]["state"]["reason"] == "drill"
    assert event["alarmData"]["previousState"]["reason"] == "back"
    time.sleep(1.5)
    assert bench.state() == "ALARM"
    assert bench.left_over(invoked) == []


def test_an_alarm_from_a_template_keeps_every_property(bench: Bench) -> None:
    properties = {
        "AlarmName": bench.name,
        "AlarmDescription": "from a template",
        "Namespace": "PromptHub",
        "MetricName": bench.name,
        "Dimensions": bench.dimensions("part-class"),
        "Statistic": "Minimum",
        "Period": 300,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 0,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "breaching",
        "AlarmActions": [f"arn:aws:sns:{REGION}:{ACCOUNT}:people"],
        "OKActions": [f"arn:aws:sns:{REGION}:{ACCOUNT}:relieved"],
        "ActionsEnabled": False,
        "Unit": "None",
    }
    make_from_template(bench, properties)
    described = bench.described()
    assert {key: described[key] for key in properties} == properties


def test_a_list_of_one_metric_in_a_template_is_that_metric(bench: Bench) -> None:
    metric = {
        "MetricName": bench.name,
        "Namespace": "PromptHub",
        "Dimensions": bench.dimensions("part-class"),
    }
    stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
    make_from_template(
        bench,
        {
            **OF_A_LIST,
            "AlarmName": bench.name,
            "Metrics": [{"Id": "m1", "Label": "a label", "MetricStat": stat, "ReturnData": True}],
        },
    )
    described = bench.described()
    assert {key: described[key] for key in metric} == metric
    assert (described["Statistic"], described["Period"]) == ("Sum", 60)
    bench.put(5.0)
    assert bench.state() == "ALARM"


def test_after_a_restart_the_state_is_kept_and_nothing_fires_again(own: Bench) -> None:
    invoked, _ = own.queue("-lambda")
    own.alarm(AlarmActions=[own.function(invoked)])
    own.put(-0.5)
    own.received(invoked)
    before = own.described()
    own.aws.restart()
    after = own.described()
    assert (after["StateValue"], after["StateReason"]) == ("ALARM", before["StateReason"])
    own.put(-0.5)
    time.sleep(2.5)
    assert own.left_over(invoked) == []
    own.put(9.0)
    assert own.state() == "OK"
