"""The rollback Lambda: reads, lets `decision` decide, writes one transaction, tells people.

Two kinds of event come in: a score alarm's own (CloudWatch invokes on the transition to ALARM
only) and a schedule's, which looks again at every score alarm that is still firing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Protocol, assert_never, cast

import boto3
from botocore.config import Config

from decision import Action, Alarm, AlarmContext, Decision, decide, refusal, samples_wanted
from messages import body, subject
from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.items import Event, EventKind, Notify, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

BY = "rollback"
EVENTS = 50
"""How many of a task's last events are looked at: who was told, and why there is no way back."""
DECISIONS = 3
"""How often an alarm is decided on again when its task changed meanwhile."""
BOTO_CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
"""A service that hangs must leave time for the others: boto3 would wait longer than Lambda does."""

Outcome = dict[str, object]


class Context(Protocol):
    """What is used of the Lambda's context."""

    invoked_function_arn: str


class IncompleteInvocationError(Exception):
    """Part of an invocation failed; Lambda tries it again."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """What the Lambda works with."""

    stage: str
    topic: str
    ledger: Ledger
    alarms: CloudWatchClient
    sns: SNSClient
    events: EventBridgeClient

    @classmethod
    def from_environment(cls) -> Clients:
        """Clients and names of this stage; `KeyError` names a variable that is not set."""
        return cls(
            stage=os.environ[aws_names.ENV_STAGE],
            topic=os.environ[aws_names.ENV_TOPIC_ARN],
            ledger=Ledger.from_environment(),
            alarms=boto3.client("cloudwatch", config=BOTO_CONFIG),
            sns=boto3.client("sns", config=BOTO_CONFIG),
            events=boto3.client("events", config=BOTO_CONFIG),
        )


@cache
def _desk() -> Clients:
    return Clients.from_environment()


def handler(event: Mapping[str, object], context: Context) -> dict[str, object]:
    """Treat every alarm that `event` speaks of, and tell people what they have not heard yet.

    Raises `IncompleteInvocationError` after everything else was tried if an alarm could not be
    treated or people could not be told; Lambda's retry and the next sweep then finish it.
    """
    return process(event, context.invoked_function_arn.split(":")[4], _desk())


def process(event: Mapping[str, object], account: str, clients: Clients) -> dict[str, object]:
    """Do the work of `handler`, without the Lambda around it."""
    failures: list[str] = []
    # Nothing stands before a rollback: people are told when it is done.
    outcomes = _treat_alarms(event, account, clients, failures)
    message = _notify(clients, failures)
    if failures:
        raise IncompleteInvocationError("; ".join(failures))
    return {"outcomes": outcomes, "told": message}


def _treat_alarms(
    event: Mapping[str, object], account: str, clients: Clients, failures: list[str]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        alarms = list(_alarms(event, account, clients))
    except Exception as error:
        failures.append(f"reading alarms: {type(error).__name__}: {error}")
        return outcomes
    for found in alarms:
        if isinstance(found, Decision):
            outcomes.append(_log(found, alarm=None, revision=None))
            continue
        try:
            outcomes.append(_treat_alarm(found, clients))
        except Exception as error:
            # One alarm's trouble must not keep the others from being rolled back.
            failures.append(f"{found.name}: {type(error).__name__}: {error}")
    return outcomes


def _alarms(
    event: Mapping[str, object], account: str, clients: Clients
) -> Iterator[Alarm | Decision]:
    """Read the alarms that an event speaks of from CloudWatch, or say why there is none."""
    source = event.get("source")
    if source == "aws.events":
        yield from _firing(clients)
        return
    if source != "aws.cloudwatch":
        yield _ignored("unknown-event", f"an event from {source!r} is neither alarm nor schedule")
        return
    if event.get("accountId") != account:
        yield _ignored("other-account", f"the alarm is of account {event.get('accountId')}")
        return
    data = cast(Mapping[str, object], event.get("alarmData", {}))
    name = str(data.get("alarmName", ""))
    state = cast(Mapping[str, object], data.get("state", {})).get("value")
    if state != "ALARM":
        yield _ignored("not-alarm", f"{name} went to {state}: only ALARM is acted on")
        return
    answer = clients.alarms.describe_alarms(AlarmNames=[name])
    if not answer["MetricAlarms"]:
        yield _ignored("no-such-alarm", f"there is no metric alarm named {name!r}")
        return
    yield _alarm(answer["MetricAlarms"][0])


def _firing(clients: Clients) -> Iterator[Alarm | Decision]:
    pages = clients.alarms.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=aws_names.score_alarm_prefix(clients.stage), StateValue="ALARM"
    )
    found = [_alarm(alarm) for page in pages for alarm in page["MetricAlarms"]]
    if not found:
        yield _ignored("all-quiet", f"no score alarm of {clients.stage} is firing")
    yield from found


def _alarm(alarm: MetricAlarmTypeDef) -> Alarm:
    periods = alarm.get("EvaluationPeriods", 1)
    since = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    return Alarm(
        name=alarm["AlarmName"],
        state=alarm["StateValue"],
        namespace=alarm.get("Namespace", ""),
        metric=alarm.get("MetricName", ""),
        dimensions={
            dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])
        },
        to_alarm=alarm.get("DatapointsToAlarm", periods),
        of_last=periods,
        since=since,
    )


def _treat_alarm(alarm: Alarm, clients: Clients) -> Outcome:
    refused = refusal(alarm, clients.stage)
    if refused is not None:
        return _log(refused, alarm=alarm, revision=None)
    for attempt in range(1, DECISIONS + 1):
        try:
            decision, event = _decide_and_write(alarm, clients)
        except LedgerConflictError:
            if attempt == DECISIONS:
                raise
        else:
            return _log(decision, alarm=alarm, revision=event.revision if event else None)
    raise AssertionError("the last attempt returns or raises")


def _decide_and_write(alarm: Alarm, clients: Clients) -> tuple[Decision, Event | None]:
    ledger, task = clients.ledger, alarm.task
    # The pointer is read first: what is written holds only if it is still the same.
    pointer = ledger.pointer(task)
    decision = decide(
        AlarmContext(
            alarm=alarm,
            pointer=pointer,
            states=ledger.version_states(task),
            samples=ledger.samples(task, samples_wanted(alarm)),
            events=ledger.events(task, EVENTS),
            deployed=ledger.deployed(),
        )
    )
    if pointer is None:
        return decision, None
    match decision.action:
        case Action.NOTHING:
            return decision, None
        case Action.ROLL_BACK:
            write = ledger.roll_back
        case Action.FREEZE:
            write = ledger.freeze
        case Action.PAGE:
            write = ledger.page
        case _:
            assert_never(decision.action)
    cause = Cause(
        by=BY,
        code=decision.code,
        reason=decision.reason,
        at=timestamp(datetime.now(UTC)),
        evidence={"alarm": alarm.name, **decision.evidence},
    )
    return decision, write(task, seen=pointer.revision, cause=cause)


def _notify(clients: Clients, failures: list[str]) -> list[int]:
    """Tell people of every pending event, then the bus; returns the revisions both know of.

    Every person is told before the bus is asked for the first time: it may hang, and the time that
    an invocation has is not enough for all to wait behind it.
    """
    try:
        pending = clients.ledger.pending_events()
    except Exception as error:
        failures.append(f"reading what is pending: {type(error).__name__}: {error}")
        return []
    known = _each(pending, lambda event: _publish(event, clients), failures)
    finished = _each(known, lambda event: _finish(event, clients), failures)
    return [event.revision for event in finished]


def _each(
    events: Iterable[Event], step: Callable[[Event], Event], failures: list[str]
) -> list[Event]:
    """Take each event through `step`; one that fails stays pending and silences no other."""
    done = []
    for event in events:
        try:
            done.append(step(event))
        except LedgerConflictError:
            # Another invocation is telling of it, too, and goes on with it.
            print(json.dumps({"revision": event.revision, "code": "told-twice"}))
        except Exception as error:
            failures.append(
                f"telling of revision {event.revision}: {type(error).__name__}: {error}"
            )
    return done


def _publish(event: Event, clients: Clients) -> Event:
    """Tell people once at least: a crash before that is noted repeats it, never loses it.

    It is noted before the bus is asked: one that refuses for good must not make the same message
    come back with every sweep.
    """
    if event.notify is not Notify.PENDING:
        return event
    clients.sns.publish(
        TopicArn=clients.topic,
        Subject=subject(event, clients.stage),
        Message=body(event, clients.stage),
    )
    return clients.ledger.mark(event, Notify.TOLD)


def _finish(event: Event, clients: Clients) -> Event:
    """Tell the bus of a rollback; with that the event is done."""
    if event.kind is EventKind.ROLLED_BACK:
        _emit(event, clients)
    return clients.ledger.mark(event, Notify.SENT)


def _emit(event: Event, clients: Clients) -> None:
    """Emit the event from which the rollback is written back into git."""
    detail = {"stage": clients.stage, "task": event.task, **event.to_attributes()}
    answer = clients.events.put_events(
        Entries=[
            {
                "Source": aws_names.EVENT_SOURCE,
                "DetailType": aws_names.EVENT_ROLLED_BACK,
                "Detail": json.dumps(detail),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise IncompleteInvocationError(
            f"EventBridge refused the event: {answer['Entries'][0].get('ErrorMessage')}"
        )


def _ignored(code: str, reason: str) -> Decision:
    return Decision(action=Action.NOTHING, code=code, reason=reason)


def _log(decision: Decision, *, alarm: Alarm | None, revision: int | None) -> Outcome:
    outcome: Outcome = {
        "alarm": alarm.name if alarm else None,
        "task": alarm.task if alarm else None,
        "action": decision.action.value,
        "code": decision.code,
        "reason": decision.reason,
        "revision": revision,
    }
    print(json.dumps(outcome))
    return outcome
