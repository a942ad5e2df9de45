"""The rollback Lambda on recorded events: what it writes, whom it tells, what it survives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from handler import Clients, IncompleteInvocationError, process
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import (
    Notify,
    Pointer,
    ReleaseRef,
    ScoreSample,
    VersionRef,
    VersionState,
)
from prompt_hub.ledger.transitions import Cause
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

EVENTS = Path(__file__).parent / "events"
ACCOUNT = "111122223333"
RELEASE = ReleaseRef(release="r-2", made_at="2026-11-03T08:00:00.000000Z")
OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
AT = "2026-11-03T09:30:00.000000Z"


def recorded(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


@dataclass
class FakeAlarms:
    """As much of CloudWatch as the Lambda asks for."""

    firing: dict[str, str]
    ok: set[str] = field(default_factory=set)

    def describe_alarms(self, **wanted: Any) -> dict[str, Any]:
        names = wanted.get("AlarmNames") or [
            name for name in self.firing if name.startswith(wanted["AlarmNamePrefix"])
        ]
        alarms = [self._alarm(name) for name in names if name in self.firing]
        state = wanted.get("StateValue")
        return {"MetricAlarms": [a for a in alarms if state in {None, a["StateValue"]}]}

    def get_paginator(self, operation: str) -> FakeAlarms:
        assert operation == "describe_alarms"
        return self

    def paginate(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        yield self.describe_alarms(**wanted)

    def _alarm(self, name: str) -> dict[str, Any]:
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
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
        }


class KilledByLambda(BaseException):
    """The time of the invocation is over."""


@dataclass
class FakeTopic:
    """Keeps what was published; out of order while `broken`, deaf to subjects with `refuses`."""

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
            return {"FailedEntryCount": 1, "Entries": [{"ErrorMessage": "AccessDenied"}]}
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{}]}


@dataclass
class World:
    """A stage with two tasks whose new versions became active, and the Lambda's desk in it."""

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
        for task in ("part-class", "brand"):
            self.ledger.seed(
                task,
                NEW,
                previous=OLD,
                release=RELEASE,
                cause=Cause(by="pipeline", reason="first", at=RELEASE.made_at),
            )

    @property
    def desk(self) -> Clients:
        return Clients(
            stage="dev",
            topic="arn:topic",
            ledger=self.ledger,
            alarms=cast(Any, self.alarms),
            sns=cast(Any, self.topic),
            events=cast(Any, self.bus),
        )

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

    def invoke(self, event: dict[str, Any]) -> list[tuple[object, object]]:
        outcomes = cast(list[dict[str, object]], process(event, ACCOUNT, self.desk)["outcomes"])
        return [(outcome["task"], outcome["code"]) for outcome in outcomes]


@pytest.fixture
def world() -> World:
    return World()


def test_an_alarm_rolls_its_task_back_and_leaves_the_other_alone(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    before = world.pointer("brand"), world.ledger.events("brand")

    assert world.invoke(recorded("alarm")) == [("part-class", "below-threshold")]

    assert (world.pointer().version, world.pointer().previous) == ("1.0.0", None)
    assert world.ledger.version_states("part-class")["1.1.0"] is VersionState.QUARANTINED
    assert (world.pointer("brand"), world.ledger.events("brand")) == before
    event = world.ledger.events("part-class")[0]
    assert event.notify is Notify.SENT
    assert event.evidence["alarm"] == "prompt-hub-dev-score-part-class"


def test_people_read_what_happened_what_was_done_and_how_to_undo_it(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.invoke(recorded("alarm"))

    (message,) = world.topic.published
    assert message["Subject"] == "[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0"
    assert "1.1.0 is below its threshold: 0.550 against 0.850" in message["Message"]
    assert "1.1.0 is quarantined" in message["Message"]
    assert (
        "prompt-hub ledger activate part-class --stage dev --to 1.1.0 --person YOUR-NAME"
    ) in message["Message"]


def test_the_way_back_into_git_starts_with_an_event(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.invoke(recorded("alarm"))

    (entry,) = world.bus.entries
    assert (entry["Source"], entry["DetailType"]) == ("prompt-hub.rollback", "PromptRolledBack")
    detail = json.loads(entry["Detail"])
    assert (detail["stage"], detail["task"], detail["revision"]) == ("dev", "part-class", 3)
    assert (detail["left"]["version"], detail["reached"]["version"]) == ("1.1.0", "1.0.0")


def test_the_same_alarm_again_changes_nothing(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.invoke(recorded("alarm"))
    revision = world.ledger.revision()

    assert world.invoke(recorded("alarm")) == [("part-class", "no-sample")]
    assert world.ledger.revision() == revision
    assert len(world.topic.published) == 1


def test_a_bad_control_freezes_and_pages_once(world: World) -> None:
    world.measured("part-class", 0.55, 0.5)

    assert world.invoke(recorded("alarm")) == [("part-class", "provider-or-data")]
    assert world.pointer().frozen
    assert world.pointer().version == "1.1.0"
    assert "ledger unfreeze part-class --stage dev" in world.topic.published[0]["Message"]
    assert world.bus.entries == []

    assert ("part-class", "people-know") in world.invoke(recorded("sweep"))
    assert len(world.topic.published) == 1


def test_a_control_that_arrives_later_lets_the_sweep_roll_back(world: World) -> None:
    world.measured("part-class", 0.55, None)
    assert world.invoke(recorded("alarm")) == [("part-class", "no-control")]
    assert "needs a person" in world.topic.published[0]["Subject"]

    world.measured("part-class", 0.5, 0.92, round_="2")
    assert ("part-class", "below-threshold") in world.invoke(recorded("sweep"))
    assert world.pointer().version == "1.0.0"


def test_a_sweep_looks_at_every_firing_alarm(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.measured("brand", 0.95, None)
    assert world.invoke(recorded("sweep")) == [
        ("part-class", "below-threshold"),
        ("brand", "active-passes"),
    ]


def test_a_sweep_with_nothing_firing_says_so(world: World) -> None:
    world.alarms.ok = set(world.alarms.firing)
    assert world.invoke(recorded("sweep")) == [(None, "all-quiet")]


def test_the_alarm_is_read_again_before_anything_is_done(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.alarms.ok = {"prompt-hub-dev-score-part-class"}
    assert world.invoke(recorded("alarm")) == [("part-class", "not-firing")]
    assert world.pointer().version == "1.1.0"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"accountId": "999999999999"}, "other-account"),
        ({"source": "aws.s3"}, "unknown-event"),
        ({"alarmData": {"alarmName": "x", "state": {"value": "OK"}}}, "not-alarm"),
        ({"alarmData": {"alarmName": "x", "state": {"value": "ALARM"}}}, "no-such-alarm"),
        ({"alarmData": {}}, "not-alarm"),
    ],
)
def test_events_that_are_not_ours_do_nothing_and_say_why(
    world: World, change: dict[str, Any], code: str
) -> None:
    world.measured("part-class", 0.55, 0.9)
    assert world.invoke(recorded("alarm") | change) == [(None, code)]
    assert world.pointer().version == "1.1.0"


def test_a_broken_notification_delays_no_rollback_and_is_made_up_for(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.topic.broken = True
    with pytest.raises(IncompleteInvocationError, match="SNS is out of order"):
        world.invoke(recorded("alarm"))
    assert world.pointer().version == "1.0.0"
    assert world.ledger.events("part-class")[0].notify is Notify.PENDING

    world.topic.broken = False
    world.alarms.ok = set(world.alarms.firing)
    world.invoke(recorded("sweep"))
    assert [message["Subject"] for message in world.topic.published] == [
        "[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0"
    ]
    assert world.ledger.pending_events() == ()


def test_a_topic_that_hangs_kills_the_invocation_after_the_rollback_not_before(
    world: World,
) -> None:
    world.measured("brand", 0.5, 0.4)
    world.topic.broken = True
    with pytest.raises(IncompleteInvocationError):
        world.invoke(recorded("sweep"))

    world.measured("part-class", 0.55, 0.9)
    world.topic.hangs = True
    with pytest.raises(KilledByLambda):
        world.invoke(recorded("alarm"))
    assert world.pointer().version == "1.0.0"


def test_a_bus_that_refuses_keeps_nobody_from_hearing_and_nobody_hears_twice(
    world: World,
) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.measured("brand", 0.5, 0.4)
    world.bus.refuses = True
    for _ in range(3):
        with pytest.raises(
            IncompleteInvocationError, match="EventBridge refused the event: AccessDenied"
        ):
            world.invoke(recorded("sweep"))
    assert [message["Subject"] for message in world.topic.published] == [
        "[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0",
        "[prompt-hub dev] brand: frozen at 1.1.0",
    ]

    world.bus.refuses = False
    world.invoke(recorded("sweep"))
    assert len(world.bus.entries) == 1
    assert len(world.topic.published) == 2
    assert world.ledger.pending_events() == ()


def test_a_bus_that_hangs_is_asked_when_everybody_has_been_told(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.measured("brand", 0.55, 0.9)
    world.bus.hangs = True
    with pytest.raises(KilledByLambda):
        world.invoke(recorded("sweep"))
    assert [message["Subject"] for message in world.topic.published] == [
        "[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0",
        "[prompt-hub dev] brand: rolled back 1.1.0 -> 1.0.0",
    ]


def test_one_event_that_cannot_be_told_of_silences_no_other(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.measured("brand", 0.5, 0.4)
    world.topic.refuses = "part-class"
    with pytest.raises(IncompleteInvocationError, match="telling of revision 3: ConnectionError"):
        world.invoke(recorded("sweep"))
    assert [message["Subject"] for message in world.topic.published] == [
        "[prompt-hub dev] brand: frozen at 1.1.0"
    ]


def test_people_are_told_even_if_alarms_cannot_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.topic.broken = True
    with pytest.raises(IncompleteInvocationError):
        world.invoke(recorded("alarm"))
    world.topic.broken = False

    def away(**wanted: Any) -> dict[str, Any]:
        raise ConnectionError("CloudWatch is out of order")

    monkeypatch.setattr(world.alarms, "describe_alarms", away)
    with pytest.raises(IncompleteInvocationError, match="reading alarms: ConnectionError"):
        world.invoke(recorded("sweep"))
    assert len(world.topic.published) == 1


def test_no_service_that_hangs_takes_the_time_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        (aws_names.ENV_STAGE, "dev"),
        (aws_names.ENV_TOPIC_ARN, "arn:topic"),
        (aws_names.ENV_LEDGER_TABLE, "ledger"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
    ):
        monkeypatch.setenv(name, value)
    desk = Clients.from_environment()
    clients = (desk.alarms, desk.sns, desk.events, desk.ledger._client)

    def longest(client: Any) -> float:
        config = client.meta.config
        attempts = config.retries["total_max_attempts"]
        # Between two attempts boto3 waits a second or less, then two.
        pauses = sum(range(attempts))
        return float(attempts * (config.connect_timeout + config.read_timeout) + pauses)

    assert sum(map(longest, clients)) < aws_names.ROLLBACK_SECONDS


def test_one_tasks_trouble_does_not_keep_another_from_being_rolled_back(world: World) -> None:
    world.measured("brand", 0.55, 0.9)
    world.table.items[("SCORE#part-class", "~broken")] = {"sk": {"S": "~broken"}}
    with pytest.raises(
        IncompleteInvocationError, match="prompt-hub-dev-score-part-class: KeyError"
    ):
        world.invoke(recorded("sweep"))
    assert world.pointer("brand").version == "1.0.0"


def test_a_change_by_hand_in_between_is_decided_on_again(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    seen = world.pointer().revision
    other = ledger_on(world.table)
    world.table.before_write = lambda: other.downgrade(
        "part-class", OLD, seen=seen, cause=Cause(by="ann", reason="it is bad", at=AT)
    )

    assert world.invoke(recorded("alarm")) == [("part-class", "active-passes")]
    assert world.ledger.version_states("part-class")["1.1.0"] is VersionState.DOWNGRADED
    assert [m["Subject"] for m in world.topic.published] == [
        "[prompt-hub dev] part-class: downgraded by hand 1.1.0 -> 1.0.0"
    ]
