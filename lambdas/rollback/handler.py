"""The rollback Lambda: reads, lets `decision` decide, writes one transaction, tells people.

Three kinds of event come in: a round of the score watch, an alarm's own (CloudWatch invokes on the
transition to ALARM only) and a schedule's, which looks again at every alarm that is still firing.
Each of them comes to the same, in any order and any number. Alarms are on scores, and on live calls
that break their contract: those are read where such an alarm asks, or where a comparison has come.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, assert_never

import boto3
from botocore.config import Config

from decision import Action, AlarmContext, Decision, Window, decide, moved_at, samples_wanted
from live import ask_to_compare, decide_on_calls, read_calls, wants_calls
from prompt_hub.core import aws_names
from prompt_hub.core.embedded_metrics import MEMBER, directive, metadata
from prompt_hub.core.heartbeats import count_heartbeats
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.items import Event, Notify, timestamp
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.transitions import Cause
from telling import People, tell
from triggers import Trigger, TriggerKind, firing_alarms, is_sweep, read_windows, triggers

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

BY = "rollback"
EVENTS = 50
"""How many of a task's last events are looked at: who was told, and why there is no way back."""
DECISIONS = 3
"""How often a task is decided on again when it changed meanwhile."""
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
    """What the Lambda works with; `windows` reads what it was deployed with."""

    ledger: Outbox
    alarms: CloudWatchClient
    people: People
    windows: Callable[[], Mapping[str, Window]]

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.people.stage

    @classmethod
    def from_environment(cls) -> Clients:
        """Clients and names of this stage; `KeyError` names a variable that is not set."""
        return cls(
            ledger=Outbox.connect(os.environ[aws_names.ENV_LEDGER_TABLE]),
            alarms=boto3.client("cloudwatch", config=BOTO_CONFIG),
            people=People(
                stage=os.environ[aws_names.ENV_STAGE],
                topic=os.environ[aws_names.ENV_TOPIC_ARN],
                sns=boto3.client("sns", config=BOTO_CONFIG),
                bus=boto3.client("events", config=BOTO_CONFIG),
            ),
            windows=cache(lambda: read_windows(Path(__file__).parent)),
        )


@cache
def _clients() -> Clients:
    return Clients.from_environment()


def handler(event: Mapping[str, object], context: Context) -> dict[str, object]:
    """Treat every task that `event` speaks of, and tell people what they have not heard yet.

    Raises `IncompleteInvocationError` after everything else was tried if a task could not be
    treated or people could not be told; Lambda's retry and the next sweep then finish it.
    """
    return process(event, context.invoked_function_arn.split(":")[4], _clients())


def process(event: Mapping[str, object], account: str, clients: Clients) -> dict[str, object]:
    """Do the work of `handler`, without the Lambda around it."""
    failures: list[str] = []
    # Nothing stands before a rollback: people are told when it is done.
    outcomes, quiet = _treat_all(event, account, clients, failures)
    told = [] if quiet and not failures else tell(clients.ledger, clients.people, failures)
    if is_sweep(event):
        _expect_heartbeats(clients, failures)
    if failures:
        raise IncompleteInvocationError("; ".join(failures))
    return {"outcomes": outcomes, "told": told}


def _expect_heartbeats(clients: Clients, failures: list[str]) -> None:
    """Say of which tasks the watch should be heard: those that have an alarm on its silence."""
    try:
        watched = clients.windows().keys() - {aws_names.DRILL_TASK}
        active = watched & clients.ledger.pointers().keys()
        count_heartbeats(clients.alarms, clients.stage, sorted(active), 0)
    except Exception as error:
        failures.append(f"expecting heartbeats: {type(error).__name__}: {error}")


def _treat_all(
    event: Mapping[str, object], account: str, clients: Clients, failures: list[str]
) -> tuple[list[Outcome], bool]:
    """Return what was done, and whether nothing but rounds came in and none left news to tell.

    A good round ends here: one comes for every task every few minutes, and looking for news in the
    whole ledger is the sweep's work.
    """
    outcomes: list[Outcome] = []
    quiet = True
    try:
        found = list(
            triggers(
                event,
                account=account,
                stage=clients.stage,
                firing=lambda: firing_alarms(clients.alarms, clients.stage),
            )
        )
    except Exception as error:
        failures.append(f"reading alarms: {type(error).__name__}: {error}")
        return outcomes, False
    for trigger in found:
        if isinstance(trigger, Decision):
            outcomes.append(_log(trigger, clients.stage, trigger=None, revision=None))
            quiet = False
            continue
        try:
            outcome, news = _treat(trigger, clients)
            outcomes.append(outcome)
            quiet = quiet and trigger.kind is TriggerKind.ROUND and not news
        except Exception as error:
            # One task's trouble must not keep the others from being rolled back.
            failures.append(f"{trigger.task}: {type(error).__name__}: {error}")
    return outcomes, quiet


def _treat(trigger: Trigger, clients: Clients) -> tuple[Outcome, bool]:
    for attempt in range(1, DECISIONS + 1):
        try:
            decision, event, news = _decide_and_write(trigger, clients)
        except LedgerConflictError:
            if attempt == DECISIONS:
                raise
        else:
            revision = event.revision if event else None
            return _log(decision, clients.stage, trigger=trigger, revision=revision), news
    raise AssertionError("the last attempt returns or raises")


def _decide_and_write(trigger: Trigger, clients: Clients) -> tuple[Decision, Event | None, bool]:
    """Return the decision, what it wrote, and whether people have not heard all of the task."""
    ledger, task = clients.ledger, trigger.task
    window = clients.windows().get(task)
    if window is None:
        reason = f"the function was deployed without a task {task!r}"
        return Decision(action=Action.NOTHING, code="unknown-task", reason=reason), None, False
    # The pointer is read first: what is written holds only if it is still the same.
    pointer = ledger.pointer(task)
    events = ledger.events(task, EVENTS)
    context = AlarmContext(
        task=task,
        window=window,
        pointer=pointer,
        states=ledger.version_states(task),
        samples=ledger.samples(task, samples_wanted(window)),
        events=events,
        deployed=ledger.deployed(),
    )
    decision = decide(context)
    news = any(event.notify in {Notify.PENDING, Notify.TOLD} for event in events)
    if pointer is None:
        return decision, None, news
    if wants_calls(context, decision, asked=trigger.calls):
        now, moved = clients.people.now(), moved_at(context, pointer)
        calls = read_calls(clients.alarms, clients.stage, pointer, moved=moved, now=now)
        on_calls = decide_on_calls(context, calls, stage=clients.stage, now=now)
        # A score that is bad, and not shown to be so yet, says more than calls that show nothing.
        says_nothing = decision.code in {"active-passes", "no-sample"}
        if on_calls.action is not Action.NOTHING or trigger.calls or says_nothing:
            decision = on_calls
    match decision.action:
        case Action.NOTHING:
            return decision, None, news
        case Action.COMPARE:
            ask_to_compare(clients.people.bus, clients.stage, task)
            return decision, None, news
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
        evidence={**trigger.to_evidence(), **decision.evidence},
    )
    newest = events[0].revision if events else 0
    return decision, write(task, seen=pointer.revision, newest=newest, cause=cause), True


def _log(
    decision: Decision, stage: str, *, trigger: Trigger | None, revision: int | None
) -> Outcome:
    outcome: Outcome = {
        "trigger": trigger.kind.value if trigger else None,
        "alarm": trigger.alarm if trigger else None,
        "task": trigger.task if trigger else None,
        "action": decision.action.value,
        "code": decision.code,
        "reason": decision.reason,
        "revision": revision,
    }
    print(json.dumps(outcome | _counted(decision, stage)))
    return outcome


def _counted(decision: Decision, stage: str) -> Outcome:
    """Return what makes a line a metric; most looks at a task come to nothing, and are none."""
    if decision.action is Action.NOTHING:
        return {}
    metric = (aws_names.ROLLBACK_DECIDED, "Count")
    counted = directive(aws_names.rollback_namespace(), ("stage", "action"), metric)
    return {"stage": stage, aws_names.ROLLBACK_DECIDED: 1, MEMBER: metadata(counted)}
