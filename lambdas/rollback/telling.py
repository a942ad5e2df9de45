"""Telling people and the bus of events: each once, in few messages, by one invocation at a time.

An event is told under a claim that ends by itself (`prompt_hub.ledger.outbox`). A crash between
claim and message delays it until the claim ends; a crash between message and note repeats it, and
the repetition says so. Nothing is lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.items import Event, Notify
from prompt_hub.ledger.messages import Message, digest, message
from prompt_hub.ledger.outbox import Claim, Outbox

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

CLAIM_SECONDS = 25.0
"""Longer than one message can take, shorter than the minute after which Lambda tries again."""
ONE_BY_ONE = 4
"""How many events that wait at once are told in a message each; more become one digest."""
DIGEST_MOST = 50
"""How many events one digest tells of: SNS takes 256 KiB."""
COLLECT_SECONDS = 3.0
"""How soon after a message the next one may go out: what comes meanwhile goes with it."""
BUS_MOST = 10
"""How many events the bus takes in one request."""
TELLING_SECONDS = 40.0
"""After that an invocation leaves the rest to the next one, while Lambda still lets it say so."""


@dataclass(frozen=True, kw_only=True)
class People:
    """Who is told: the topic and the bus of a stage, and the clock by which it is done."""

    stage: str
    topic: str
    sns: SNSClient
    bus: EventBridgeClient
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


def tell(outbox: Outbox, people: People, failures: list[str]) -> list[int]:
    """Tell of every pending event, unless somebody else does; returns the revisions told of.

    What fails is added to `failures`, stays pending, and silences nothing else.
    """
    return _Teller(outbox, people, failures).run()


class _Teller:
    def __init__(self, outbox: Outbox, people: People, failures: list[str]) -> None:
        self._outbox = outbox
        self._people = people
        self._failures = failures
        self._failed: set[int] = set()
        self._finished: list[int] = []
        self._ends = time.monotonic() + TELLING_SECONDS
        self._late = False

    def run(self) -> list[int]:
        try:
            while True:
                claim = self._outbox.claim(at=self._people.now(), seconds=CLAIM_SECONDS)
                if claim is None:
                    _say("told-elsewhere")
                    break
                claim = self._tell_people(claim)
                # Every person is told before the bus is asked: it may hang.
                claim = self._tell_bus(claim)
                self._outbox.release(claim)
                # Others left to this one what they wrote while the claim was held.
                if not self._waiting():
                    break
        except LedgerConflictError:
            # The claim ended under us: whoever has it now goes on.
            _say("claim-lost")
        except Exception as error:
            self._failures.append(f"telling people: {type(error).__name__}: {error}")
        if self._late:
            self._failures.append("telling people: there may be more than fits into one invocation")
        return self._finished

    def _waiting(self, *states: Notify) -> list[Event]:
        """Return what is still to be told and has not failed here already."""
        if time.monotonic() > self._ends:
            self._late = True
            return []
        return [
            event
            for event in self._outbox.pending_events()
            if event.revision not in self._failed and event.notify in (states or Notify)
        ]

    def _tell_people(self, claim: Claim) -> Claim:
        while self._waiting(Notify.PENDING):
            self._collect(claim)
            waiting = self._waiting(Notify.PENDING)
            for events in _parts(waiting, 1 if len(waiting) <= ONE_BY_ONE else DIGEST_MOST):
                claim = self._publish(claim, events)
        return claim

    def _collect(self, claim: Claim) -> None:
        """Wait a little if a message has just gone out: many at once become one digest."""
        if claim.told_at:
            since = self._people.now() - datetime.fromisoformat(claim.told_at)
            self._people.sleep(
                min(max(COLLECT_SECONDS - since.total_seconds(), 0), COLLECT_SECONDS)
            )

    def _publish(self, claim: Claim, events: Sequence[Event]) -> Claim:
        repeated = frozenset(event.revision for event in events) & claim.telling
        text = (
            message(events[0], self._people.stage, repeated=bool(repeated))
            if len(events) == 1
            else digest(events, self._people.stage, repeated=repeated)
        )
        claim = self._renewed(claim, telling=events)
        try:
            self._publish_text(text)
        except Exception as error:
            self._fail(events, error)
            return claim
        self._finished += [event.revision for event in events if not event.reaches_the_bus]
        return self._outbox.told(claim, events, at=self._people.now())

    def _publish_text(self, text: Message) -> None:
        self._people.sns.publish(
            TopicArn=self._people.topic, Subject=text.subject, Message=text.body
        )

    def _tell_bus(self, claim: Claim) -> Claim:
        known = self._waiting(Notify.TOLD)
        for events in _parts(known, BUS_MOST):
            claim = self._renewed(claim)
            try:
                refused = self._emit(events)
            except Exception as error:
                self._fail(events, error)
                continue
            if taken := [event for event in events if event.revision not in refused]:
                self._outbox.finished(claim, taken)
                self._finished += [event.revision for event in taken]
        return claim

    def _emit(self, events: Sequence[Event]) -> set[int]:
        """Emit the events from which rollbacks are written back into git; return the refused."""
        answer = self._people.bus.put_events(
            Entries=[
                {
                    "Source": aws_names.event_source(),
                    "DetailType": aws_names.EVENT_ROLLED_BACK,
                    "Detail": json.dumps(
                        {
                            "stage": self._people.stage,
                            "task": event.task,
                            **event.to_attributes(),
                        }
                    ),
                }
                for event in events
            ]
        )
        refused = set()
        for event, entry in zip(events, answer["Entries"], strict=True):
            if "EventId" not in entry:
                refused.add(event.revision)
                self._fail([event], f"EventBridge refused the event: {entry.get('ErrorMessage')}")
        return refused

    def _renewed(self, claim: Claim, telling: Sequence[Event] = ()) -> Claim:
        return self._outbox.renew(
            claim, at=self._people.now(), seconds=CLAIM_SECONDS, telling=telling
        )

    def _fail(self, events: Sequence[Event], error: Exception | str) -> None:
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        for event in events:
            self._failed.add(event.revision)
            self._failures.append(f"telling of revision {event.revision}: {reason}")


def _parts(events: Sequence[Event], most: int) -> list[Sequence[Event]]:
    return [events[start : start + most] for start in range(0, len(events), most)]


def _say(code: str) -> None:
    print(json.dumps({"code": code}))
