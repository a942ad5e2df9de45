"""A stage in memory and the rollback Lambda's desk in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from decision import Window
from handler import Clients, process
from prompt_hub.ledger.items import (
    Pointer,
    ReleaseRef,
    ScoreSample,
    VersionRef,
)
from prompt_hub.ledger.transitions import Cause
from telling import People
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

EVENTS = Path(__file__).parent / "events"
ROUND = {"source": "prompt-hub.watch", "task": "part-class"}
ACCOUNT = "111122223333"
RELEASE = ReleaseRef(release="r-2", made_at="2026-11-03T08:00:00.000000Z")
OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
ONE_OF_ONE = Window(to_alarm=1, of_last=1)
AT = "2026-11-03T09:30:00.000000Z"


def recorded(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def contract_metrics(task: str) -> list[dict[str, Any]]:
    """What a contract alarm looks at, as DescribeAlarms has it."""
    metric = {
        "Namespace": "PromptHub/Calls",
        "MetricName": "contract_failed",
        "Dimensions": [{"Name": "stage", "Value": "dev"}, {"Name": "task", "Value": task}],
    }
    return [
        {"Id": "e", "Expression": "IF(broken >= 5, 100 * broken / calls, 0)", "ReturnData": True},
        *(
            {"Id": name, "MetricStat": {"Metric": metric, "Period": 900, "Stat": statistic}}
            for name, statistic in (("broken", "Sum"), ("calls", "SampleCount"))
        ),
    ]


@dataclass
class FakeAlarms:
    """As much of CloudWatch as the Lambda asks for."""

    firing: dict[str, str]
    ok: set[str] = field(default_factory=set)
    calls: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By version: its calls, and how many of them broke their contract."""
    lately: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The same of the quarter of an hour that the alarm looks at, where that is asked for alone."""
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    """Whose calls were read, from when to when."""
    broken: bool = False
    counted: list[tuple[str, str, str, float]] = field(default_factory=list)
    """Metrics that were put: name, stage, task and value."""

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        if self.broken:
            raise ConnectionError("CloudWatch is out of order")
        assert Namespace == "PromptHub"
        for datum in MetricData:
            named = {each["Name"]: each["Value"] for each in datum["Dimensions"]}
            self.counted.append(
                (datum["MetricName"], named["Stage"], named["Task"], datum["Value"])
            )

    def describe_alarms(self, **wanted: Any) -> dict[str, Any]:
        names = wanted.get("AlarmNames") or [
            name for name in self.firing if name.startswith(wanted["AlarmNamePrefix"])
        ]
        alarms = [self._alarm(name) for name in names if name in self.firing]
        state = wanted.get("StateValue")
        return {"MetricAlarms": [a for a in alarms if state in {None, a["StateValue"]}]}

    def get_paginator(self, operation: str) -> FakeAlarms:
        assert operation in {"describe_alarms", "get_metric_data"}
        return self

    def paginate(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        yield (
            self._calls(**wanted)
            if "MetricDataQueries" in wanted
            else self.describe_alarms(**wanted)
        )

    def _calls(self, **wanted: Any) -> dict[str, Any]:
        if self.broken:
            raise ConnectionError("CloudWatch is out of order")
        found = {}
        for query in wanted["MetricDataQueries"]:
            statistic = query["MetricStat"]
            metric = statistic["Metric"]
            assert (metric["Namespace"], metric["MetricName"]) == (
                "PromptHub/Calls",
                "contract_failed",
            )
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            assert dimensions.keys() == {"stage", "task", "version"}
            short = wanted["EndTime"] - wanted["StartTime"] <= timedelta(minutes=16)
            counted = {**self.calls, **self.lately} if short else self.calls
            calls, broken = counted.get(dimensions["version"], (0, 0))
            found[query["Id"]] = {"Sum": broken, "SampleCount": calls}[statistic["Stat"]]
        self.asked.append((dimensions["version"], wanted["StartTime"], wanted["EndTime"]))
        return {
            "MetricDataResults": [
                # In two periods, as it may be.
                {"Id": name, "Values": [value - value // 2, value // 2]}
                for name, value in found.items()
            ]
        }

    def _alarm(self, name: str) -> dict[str, Any]:
        if name.startswith("prompt-hub-dev-contract-"):
            return {
                "AlarmName": name,
                "StateValue": "ALARM",
                "StateUpdatedTimestamp": datetime(2026, 11, 3, 9, 31, tzinfo=UTC),
                "Metrics": contract_metrics(self.firing[name]),
            }
        return {
            "AlarmName": name,
            "StateValue": "OK" if name in self.ok else "ALARM",
            "StateUpdatedTimestamp": datetime(2026, 11, 3, 9, 31, tzinfo=UTC),
            "Namespace": "PromptHub",
            "MetricName": "ScoreMargin",
            "Dimensions": [
                {"Name": "Stage", "Value": "dev"},
                {"Name": "Task", "Value": self.firing[name]},
            ],
        }


class KilledByLambda(BaseException):
    """The time of the invocation is over."""


@dataclass
class FakeTopic:
    """Keeps what was published; out of order while `broken`, deaf to subjects with `refuses`.

    While it `hangs`, the invocation ends before the message is sent.
    """

    published: list[dict[str, str]] = field(default_factory=list)
    broken: bool = False
    hangs: bool = False
    refuses: str = ""

    def publish(self, **message: str) -> None:
        if self.hangs:
            raise KilledByLambda
        if self.broken or (self.refuses and self.refuses in message["Subject"]):
            raise ConnectionError("SNS is out of order")
        self.published.append(message)


@dataclass
class FakeBus:
    """Keeps what was put on it, unless it `refuses`."""

    entries: list[dict[str, str]] = field(default_factory=list)
    refuses: bool = False
    hangs: bool = False

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if self.hangs:
            raise KilledByLambda
        if self.refuses:
            refused = {"ErrorCode": "AccessDenied", "ErrorMessage": "AccessDenied"}
            return {"FailedEntryCount": len(Entries), "Entries": [refused for _ in Entries]}
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


@dataclass
class World:
    """A stage with two tasks whose new versions became active, and the Lambda's desk in it."""

    tasks: tuple[str, ...] = ("part-class", "brand")
    window: Window = ONE_OF_ONE
    now: datetime = datetime(2026, 11, 3, 9, 31, tzinfo=UTC)

    table: FakeDynamoDB = field(default_factory=FakeDynamoDB)
    topic: FakeTopic = field(default_factory=FakeTopic)
    bus: FakeBus = field(default_factory=FakeBus)
    alarms: FakeAlarms = field(
        default_factory=lambda: FakeAlarms(
            {
                "prompt-hub-dev-score-part-class": "part-class",
                "prompt-hub-dev-score-brand": "brand",
            }
        )
    )

    def __post_init__(self) -> None:
        self.ledger = ledger_on(self.table)
        for task in self.tasks:
            self.ledger.seed(
                task,
                NEW,
                previous=OLD,
                release=RELEASE,
                cause=self.cause,
            )

    @property
    def desk(self) -> Clients:
        return Clients(
            ledger=self.ledger,
            alarms=cast(Any, self.alarms),
            people=People(
                stage="dev",
                topic="arn:topic",
                sns=cast(Any, self.topic),
                bus=cast(Any, self.bus),
                now=lambda: self.now,
                sleep=self.sleep,
            ),
            windows=lambda: dict.fromkeys(self.tasks, self.window),
        )

    @property
    def cause(self) -> Cause:
        """A cause of the pipeline's."""
        return Cause(by="pipeline", reason="first", at=RELEASE.made_at)

    def sleep(self, seconds: float) -> None:
        """Let time pass, for nobody but the one who sleeps."""
        self.now += timedelta(seconds=seconds)

    def measured(self, task: str, active: float, control: float | None, round_: str = "1") -> None:
        scores = [("1.1.0", active)] + ([("1.0.0", control)] if control is not None else [])
        self.ledger.add_samples(
            [
                ScoreSample(
                    task=task,
                    version=version,
                    score=score,
                    threshold=0.85,
                    n=40,
                    interval=(score, score),
                    evaluation=f"round-{round_}",
                    at=f"2026-11-03T09:30:0{round_}.000000Z",
                )
                for version, score in scores
            ]
        )

    def pointer(self, task: str = "part-class") -> Pointer:
        found = self.ledger.pointer(task)
        assert found is not None
        return found

    def messages(self) -> list[str]:
        """Subjects of what people were told, in order."""
        return [message["Subject"] for message in self.topic.published]

    def invoke(self, event: dict[str, Any]) -> list[tuple[object, object]]:
        outcomes = cast(list[dict[str, object]], process(event, ACCOUNT, self.desk)["outcomes"])
        return [(outcome["task"], outcome["code"]) for outcome in outcomes]
