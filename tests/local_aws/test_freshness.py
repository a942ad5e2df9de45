"""Silence of the score watch on the local AWS: who hears of it, from when on, and who does not.

The alarm, the sweep of the rollback Lambda, the heartbeats and the ledger are real; an interval of
the watch is a few seconds long.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from decision import Window
from handler import Clients, process
from prompt_hub.core import aws_names
from prompt_hub.core.heartbeats import count_heartbeats
from prompt_hub.ledger.items import ReleaseRef, VersionRef
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.transitions import Cause
from telling import People
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table, eventually

SWEEP = Path(__file__).parents[1] / "lambdas" / "events" / "sweep.json"
INTERVAL_SECONDS = 2
FIRST = VersionRef(version="1.0.0", sha256="first")
RELEASE = ReleaseRef(release="r-1", made_at="2026-11-03T09:00:00.000000Z")


@dataclass
class Watched:
    """A stage of one new task, its freshness alarm as the rollback stack has it, and a mailbox."""

    aws: LocalAws
    name: str
    task: str = "part-class"
    heard: list[tuple[str, str]] = field(default_factory=list)
    """What people were told, as states of the alarm: from, to."""

    def __post_init__(self) -> None:
        create_table(self.aws, aws_names.ledger_table(self.name))
        topic = self.aws.client("sns").create_topic(Name=self.name)["TopicArn"]
        self.inbox = self.aws.client("sqs").create_queue(QueueName=self.name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self.clients = Clients(
            ledger=Outbox(self.aws.client("dynamodb"), aws_names.ledger_table(self.name)),
            alarms=self.aws.client("cloudwatch"),
            people=People(
                stage=self.name,
                topic=topic,
                sns=self.aws.client("sns"),
                bus=self.aws.client("events"),
            ),
            windows=lambda: {self.task: Window(to_alarm=1, of_last=1)},
        )
        self.aws.client("cloudwatch").put_metric_alarm(
            AlarmName=aws_names.freshness_alarm(self.name, self.task),
            Namespace=aws_names.metric_namespace(),
            MetricName=aws_names.METRIC_HEARTBEAT,
            Dimensions=[
                {"Name": aws_names.DIMENSION_STAGE, "Value": self.name},
                {"Name": aws_names.DIMENSION_TASK, "Value": self.task},
            ],
            Statistic="Sum",
            Period=INTERVAL_SECONDS,
            EvaluationPeriods=3,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="missing",
            AlarmActions=[topic],
            InsufficientDataActions=[topic],
        )

    def activate(self) -> None:
        cause = Cause(by="pipeline", reason="first", at=RELEASE.made_at)
        self.clients.ledger.seed(self.task, FIRST, previous=None, release=RELEASE, cause=cause)

    def sweep(self) -> None:
        process(json.loads(SWEEP.read_text(encoding="utf-8")), ACCOUNT, self.clients)

    def watch(self) -> None:
        count_heartbeats(self.aws.client("cloudwatch"), self.name, [self.task], 1)

    def state(self) -> str:
        name = aws_names.freshness_alarm(self.name, self.task)
        alarms: list[dict[str, Any]] = self.aws.client("cloudwatch").describe_alarms(
            AlarmNames=[name]
        )["MetricAlarms"]
        return str(alarms[0]["StateValue"])

    def told(self) -> list[tuple[str, str]]:
        """Everything that people were told so far."""
        queues = self.aws.client("sqs")
        for message in queues.receive_message(QueueUrl=self.inbox).get("Messages", []):
            text = json.loads(json.loads(message["Body"])["Message"])
            self.heard.append((text["OldStateValue"], text["NewStateValue"]))
            queues.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return self.heard

    def becomes(self, state: str, *meanwhile: str) -> None:
        """Wait for a state of the alarm while these run again and again."""

        def probe() -> bool:
            for step in meanwhile:
                getattr(self, step)()
            return self.state() == state

        eventually(probe, what=f"the alarm in {state}")


@pytest.fixture
def stage(aws: LocalAws, request: pytest.FixtureRequest) -> Watched:
    return Watched(aws, f"s{abs(hash(request.node.name)) % 10**8}")


def test_a_new_task_calls_nobody_and_silence_later_does(stage: Watched) -> None:
    """From the alarm, which is made before the release, to the watch that dies."""
    stage.sweep()
    assert stage.state() == "INSUFFICIENT_DATA"
    stage.activate()
    stage.becomes("OK", "watch", "sweep")
    assert stage.told() == [], "neither its alarm nor its activation is news"
    stage.becomes("ALARM", "sweep")
    eventually(lambda: stage.told() == [("OK", "ALARM")], what="the message about silence")


def test_a_watch_that_never_began_is_heard_of(stage: Watched) -> None:
    stage.activate()
    stage.becomes("ALARM", "sweep")
    eventually(
        lambda: stage.told() == [("INSUFFICIENT_DATA", "ALARM")], what="the message about silence"
    )


def test_that_watch_and_sweep_are_both_dead_is_heard_of(stage: Watched) -> None:
    stage.activate()
    stage.becomes("OK", "watch", "sweep")
    stage.becomes("INSUFFICIENT_DATA")
    eventually(
        lambda: stage.told() and stage.heard[-1][1] == "INSUFFICIENT_DATA",
        what="the message about no data",
    )
    # The last period may have the sweep's 0 without the watch's 1: then that is heard of first.
    states = ["OK", *(after for _, after in stage.heard)]
    assert states in (["OK", "INSUFFICIENT_DATA"], ["OK", "ALARM", "INSUFFICIENT_DATA"])
