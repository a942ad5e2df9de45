"""Who tells people of a ledger's events: one at a time, by a claim that ends by itself.

The claim is one item. Whoever holds it names in it the events that are being told, before they are
told: a holder that was killed leaves behind which news may have gone out already.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.item_table import Step
from prompt_hub.ledger.items import Attributes, Event, Notify, timestamp
from prompt_hub.ledger.table import Ledger

CLAIM_KEY = (aws_names.LEDGER_OUTBOX, "CLAIM")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to tell people, until `until`; empty once it was given back.

    `holder` is new with every write, so that a write of a holder before fails. `telling` holds the
    revisions of events that people may have been told of without its being noted. `told_at` is
    when people were told last.
    """

    holder: str
    until: str
    telling: frozenset[int] = frozenset()
    told_at: str = ""

    def held(self, at: datetime) -> bool:
        """Whether somebody else may be telling people at that time."""
        return self.until > timestamp(at)

    def to_attributes(self) -> Attributes:
        """Return the item without its keys."""
        return {
            "holder": self.holder,
            "until": self.until,
            "telling": sorted(self.telling),
            "told_at": self.told_at,
        }

    @classmethod
    def from_attributes(cls, item: Mapping[str, object]) -> Claim:
        """Read back what `to_attributes` wrote."""
        return cls(
            holder=str(item["holder"]),
            until=str(item["until"]),
            telling=frozenset(cast(Iterable[int], item["telling"])),
            told_at=str(item["told_at"]),
        )


class Outbox(Ledger):
    """A stage's ledger for whoever tells people of its events.

    Nobody who writes an event and then finds the claim held needs to tell of it: the holder looks
    for pending events once more after giving the claim back.
    """

    def pending_events(self) -> tuple[Event, ...]:
        """Everything that people still have to be told, oldest first."""
        pending = [
            event
            for task in self.every_pointer()
            for event in self.events(task)
            if event.notify in {Notify.PENDING, Notify.TOLD}
        ]
        return tuple(sorted(pending, key=lambda event: event.revision))

    def claim(self, *, at: datetime, seconds: float) -> Claim | None:
        """Take the right to tell people for that long; `None` if somebody else has it."""
        before = self._claim()
        if before is not None and before.held(at):
            return None
        found = before or Claim(holder="", until="")
        try:
            return self._write_claim(found, replace(found, until=_later(at, seconds)))
        except LedgerConflictError:
            return None

    def renew(
        self, claim: Claim, *, at: datetime, seconds: float, telling: Sequence[Event] = ()
    ) -> Claim:
        """Hold the claim that long from `at`, and name events that are told from now on.

        Raises:
            LedgerConflictError: it ended, and somebody else has it.
        """
        named = claim.telling | {event.revision for event in telling}
        return self._write_claim(claim, replace(claim, until=_later(at, seconds), telling=named))

    def told(self, claim: Claim, events: Sequence[Event], *, at: datetime) -> Claim:
        """Note that people know of `events`; a rollback still has to reach the bus.

        Raises:
            LedgerConflictError: the claim ended, and somebody else has it.
        """
        rest = claim.telling - {event.revision for event in events}
        after = replace(claim, telling=rest, told_at=timestamp(at), holder=uuid.uuid4().hex)
        self._write(_held(claim, after), *(marked(event, _known(event)) for event in events))
        return after

    def finished(self, claim: Claim, events: Sequence[Event]) -> None:
        """Note that the bus knows of `events`, too.

        Raises:
            LedgerConflictError: the claim ended, and somebody else has it.
        """
        self._write(_held(claim, None), *(marked(event, Notify.SENT) for event in events))

    def release(self, claim: Claim) -> None:
        """Give the claim back.

        Raises:
            LedgerConflictError: it ended, and somebody else has it.
        """
        self._write_claim(claim, replace(claim, until=""))

    def _claim(self) -> Claim | None:
        item = self._get(CLAIM_KEY)
        return Claim.from_attributes(item) if item else None

    def _write_claim(self, before: Claim, after: Claim) -> Claim:
        after = replace(after, holder=uuid.uuid4().hex)
        self._write(_held(before, after))
        return after


def _held(before: Claim, after: Claim | None) -> Step:
    """Write the claim, or with `None` only check it, if it is still the one `before`."""
    return Step(
        key=CLAIM_KEY,
        attributes=after.to_attributes() if after else None,
        attribute="holder",
        believed=before.holder or None,
    )


def marked(event: Event, notify: Notify) -> Step:
    """Write how far the news of `event` has come, if it has come no further meanwhile."""
    return Step(
        key=event.key,
        attributes=replace(event, notify=notify).to_attributes(),
        attribute="notify",
        believed=event.notify.value,
    )


def _known(event: Event) -> Notify:
    return Notify.TOLD if event.reaches_the_bus else Notify.SENT


def _later(at: datetime, seconds: float) -> str:
    return timestamp(at + timedelta(seconds=seconds))
