"""Alarms of one test, their metrics, and what hears of them."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

REPORTER = """
import json, os, boto3

def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
    if os.environ.get("FAIL"):
        raise RuntimeError("asked to fail")
"""


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
