"""The rollback Lambda on recorded events: what it writes, whom it tells, what it survives."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from decision import Window
from handler import Clients, IncompleteInvocationError, process
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import (
    Notify,
    VersionState,
)
from prompt_hub.ledger.transitions import Cause
from tests.lambdas.world import ACCOUNT, AT, OLD, ROUND, KilledByLambda, World, recorded
from tests.unit.ledger.fake_dynamodb import ledger_on
from triggers import read_windows


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


def test_a_decision_that_changes_something_is_a_metric_and_a_look_is_none(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.invoke(recorded("alarm"))
    world.invoke(recorded("alarm"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rolled_back, nothing = (line for line in lines if "action" in line)
    assert nothing["action"] == "nothing"
    assert "_aws" not in nothing
    (directive,) = rolled_back["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "PromptHub/Rollback",
        "Dimensions": [["stage", "action"]],
        "Metrics": [{"Name": "decided", "Unit": "Count"}],
    }
    assert [rolled_back[name] for name in ("stage", "action", "decided")] == [
        "dev",
        "roll-back",
        1,
    ]


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
    assert (
        "prompt-hub promote downgrade part-class --to 1.1.0 --override --person YOUR-NAME"
    ) in message["Message"]
    assert "prompt-hub repair part-class --stage dev --version 1.1.0" in message["Message"]


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


def test_the_alarm_s_own_event_is_believed_while_a_read_of_it_lags(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.alarms.ok = {"prompt-hub-dev-score-part-class"}
    assert world.invoke(recorded("alarm")) == [("part-class", "below-threshold")]
    assert world.pointer().version == "1.0.0"
    evidence = world.ledger.events("part-class")[0].evidence
    assert evidence["trigger"] == {"kind": "alarm", "at": "2026-11-03T09:31:04.212+0000"}


def test_only_the_sweep_reads_cloudwatch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**wanted: Any) -> dict[str, Any]:
        raise ConnectionError("CloudWatch is out of order")

    monkeypatch.setattr(world.alarms, "describe_alarms", away)
    world.measured("part-class", 0.55, 0.9)
    assert world.invoke(recorded("alarm")) == [("part-class", "below-threshold")]
    assert world.invoke(ROUND) == [("part-class", "no-sample")]
    with pytest.raises(IncompleteInvocationError, match="reading alarms: ConnectionError"):
        world.invoke(recorded("sweep"))


def test_a_round_rolls_back_before_any_alarm_goes_off(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.alarms.ok = set(world.alarms.firing)
    assert world.invoke(ROUND) == [("part-class", "below-threshold")]
    assert world.pointer().version == "1.0.0"
    assert world.messages() == ["[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0"]
    evidence = world.ledger.events("part-class")[0].evidence
    assert evidence["trigger"] == {"kind": "round", "at": ""}
    assert evidence["alarm"] == "prompt-hub-dev-score-part-class"


@pytest.mark.parametrize("order", list(permutations(("round", "alarm", "sweep"))))
@pytest.mark.parametrize(
    ("scores", "code", "events"),
    [
        ((0.55, 0.9), "below-threshold", ["rolled-back"]),
        ((0.55, 0.5), "provider-or-data", ["frozen"]),
        ((0.55, None), "no-control", ["paged"]),
    ],
)
def test_every_order_of_the_three_does_the_same_once(
    world: World,
    order: tuple[str, ...],
    scores: tuple[float, float | None],
    code: str,
    events: list[str],
) -> None:
    world.measured("part-class", *scores)
    for name in (*order, *order):
        world.invoke(ROUND if name == "round" else recorded(name))
    found = world.ledger.events("part-class")
    assert [event.kind.value for event in found if event.by == "rollback"] == events
    assert found[0].code == code
    assert len(world.topic.published) == 1


def test_two_that_decide_at_once_to_page_page_once(world: World) -> None:
    """A page moves no pointer: the history alone tells the second that it was done."""
    world.measured("part-class", 0.55, None)
    world.table.before_write = lambda: process(recorded("alarm"), ACCOUNT, world.desk)
    assert world.invoke(ROUND) == [("part-class", "people-know")]
    kinds = [event.kind.value for event in world.ledger.events("part-class")]
    assert kinds == ["paged", "seeded"]
    assert len(world.topic.published) == 1


def test_as_many_samples_are_read_as_the_decision_needs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "window", Window(to_alarm=60, of_last=60))
    for round_ in range(60):
        world.measured("part-class", 0.55, 0.9, round_=f"{round_:02}")
    assert world.invoke(ROUND) == [("part-class", "below-threshold")]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"source": "prompt-hub.watch"}, "no-task"),
        ({"source": "prompt-hub.watch", "task": ["part-class"]}, "no-task"),
    ],
)
def test_a_round_that_names_no_task_does_nothing(
    world: World, event: dict[str, Any], code: str
) -> None:
    assert world.invoke(event) == [(None, code)]


def test_a_task_that_the_function_was_deployed_without_is_left_alone(world: World) -> None:
    assert world.invoke(ROUND | {"task": "maker"}) == [("maker", "unknown-task")]


def test_a_good_round_looks_at_its_own_task_only(world: World) -> None:
    world.measured("part-class", 0.95, None)
    world.measured("brand", 0.5, 0.4)
    world.topic.broken = True
    with pytest.raises(IncompleteInvocationError):
        world.invoke(ROUND | {"task": "brand"})
    world.topic.broken = False
    assert world.invoke(ROUND) == [("part-class", "active-passes")]
    assert world.messages() == []
    assert world.invoke(ROUND | {"task": "brand"}) == [("brand", "people-know")]
    assert world.messages() == ["[prompt-hub dev] brand: frozen at 1.1.0"]


def test_what_a_breach_is_was_written_when_the_function_was_deployed(tmp_path: Path) -> None:
    (tmp_path / aws_names.WINDOWS_FILE).write_text('{"part-class": [2, 3, 60]}', encoding="utf-8")
    assert read_windows(tmp_path) == {"part-class": Window(to_alarm=2, of_last=3, every_minutes=60)}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"accountId": "999999999999"}, "other-account"),
        ({"source": "aws.s3"}, "unknown-event"),
        ({"alarmData": {"alarmName": "x", "state": {"value": "OK"}}}, "not-alarm"),
        ({"alarmData": {"alarmName": "x", "state": {"value": "ALARM"}}}, "other-metric"),
        ({"alarmData": "x"}, "not-alarm"),
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
    clients = (desk.alarms, desk.people.sns, desk.people.bus, desk.ledger._client)

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
    with pytest.raises(IncompleteInvocationError, match="part-class: KeyError"):
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


def test_a_task_that_came_back_after_it_was_retired_is_not_called_new(world: World) -> None:
    pointer = world.pointer()
    world.ledger.retire(
        "part-class", seen=pointer.revision, release=pointer.release, cause=world.cause
    )
    world.ledger.seed(
        "part-class", pointer.active, previous=None, release=pointer.release, cause=world.cause
    )
    world.measured("part-class", 0.55, None)
    assert world.invoke(ROUND) == [("part-class", "no-way-back")]
    (message,) = world.topic.published
    why = "1.1.0 is the first version since the task was retired."
    assert f"There is no version to go back to: {why}" in message["Message"]
