"""Alarms that are evaluated over real metric data and act: pure tables, then a real emulator."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local_aws.alarms import verdict
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

REPORTER = """
import json, os, boto3

def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
    if os.environ.get("FAIL"):
        raise RuntimeError("asked to fail")
"""


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


class Bench:
    """The clients and shorthands of one test."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.name = f"t-{uuid.uuid4().hex[:8]}"
        self.cloudwatch = aws.client("cloudwatch")
        self.sqs = aws.client("sqs")

    def alarm(self, **changes: Any) -> None:
        settings = {
            "AlarmName": self.name,
            "Namespace": "PromptHub",
            "MetricName": self.name,
            "Dimensions": self.dimensions("part-class"),
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.0,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "notBreaching",
        }
        self.cloudwatch.put_metric_alarm(**(settings | changes))

    def dimensions(self, task: str) -> list[dict[str, str]]:
        return [{"Name": "Stage", "Value": "beta"}, {"Name": "Task", "Value": task}]

    def put(self, value: float, *, task: str = "part-class", seconds_ago: float = 0.0) -> None:
        datum = {
            "MetricName": self.name,
            "Dimensions": self.dimensions(task),
            "Value": value,
            "Timestamp": datetime.now(UTC) - timedelta(seconds=seconds_ago),
        }
        self.cloudwatch.put_metric_data(Namespace="PromptHub", MetricData=[datum])

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cloudwatch.describe_alarms(AlarmNames=[self.name])[
            "MetricAlarms"
        ][0]
        return found

    def state(self) -> str:
        value: str = self.described()["StateValue"]
        return value

    def queue(self, suffix: str = "") -> tuple[str, str]:
        """A new queue; its URL and ARN."""
        name = f"{self.name}{suffix}"
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def received(self, url: str) -> dict[str, Any]:
        """The next message of the queue, decoded."""
        message = eventually(
            lambda: self.sqs.receive_message(QueueUrl=url).get("Messages"),
            what=f"a message in {url}",
        )[0]
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        body: dict[str, Any] = json.loads(message["Body"])
        return body

    def left_over(self, url: str) -> list[Any]:
        messages: list[Any] = self.sqs.receive_message(QueueUrl=url).get("Messages", [])
        return messages

    def function(self, queue: str, **environment: str) -> str:
        """A Lambda function that reports its event to `queue`; its ARN."""
        return self.aws.function(self.name, REPORTER, QUEUE=queue, **environment)


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


OF_A_LIST = {
    "EvaluationPeriods": 1,
    "Threshold": 5,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}


def make_from_template(bench: Bench, properties: dict[str, object], stack: str = "") -> None:
    """Make one alarm by a stack of its own."""
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    cloudformation, name = bench.aws.client("cloudformation"), stack or bench.name
    template = json.dumps({"Resources": {"Alarm": alarm}})
    cloudformation.create_stack(StackName=name, TemplateBody=template)
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


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
