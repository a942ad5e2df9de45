"""What the score watch remembers in a stage's ledger: its last round of each task, and its lease.

Both lie in a partition that begins as those of the samples do, the only ones that the watch's role
may write into. No task has its name, and no pointer, state or history is near it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from prompt_hub.core import aws_names
from prompt_hub.ledger.item_table import ItemTable, Step
from prompt_hub.ledger.items import Attributes, VersionRef
from prompt_hub.ledger.plain_values import whole_number

PARTITION = f"{aws_names.LEDGER_SCORES}*watch"
LEASE = "LEASE"
ROUND_PREFIX = "ROUND#"


@dataclass(frozen=True, kw_only=True)
class WatchRound:
    """The last round of one task, noted before it is measured.

    `revision` is that of the pointer it measures. `calls` counts the model calls of the UTC day
    that `at` is in, those of this round as planned until they are known.
    """

    task: str
    at: str
    revision: int
    calls: int
    active: VersionRef | None = None
    """What it measures; None in a round that an earlier release noted."""
    frozen: bool = False
    """Whether the pointer was frozen; nothing is known of it where `active` is None."""

    @property
    def sort_key(self) -> str:
        """Sort key within the watch's partition."""
        return ROUND_PREFIX + self.task

    def calls_on(self, at: str) -> int:
        """Model calls so far on the UTC day of `at`.

        >>> noted = WatchRound(task="t", at="2026-11-03T09:30:00Z", revision=1, calls=48)
        >>> noted.calls_on("2026-11-03T23:00:00Z"), noted.calls_on("2026-11-04T00:10:00Z")
        (48, 0)
        """
        return self.calls if self.at[:10] == at[:10] else 0


@dataclass(frozen=True, kw_only=True)
class WatchLease:
    """Which run measures the stage, with the image of which release, and until when that holds."""

    holder: str
    release: str
    until: str


class WatchRounds(ItemTable):
    """Reads and changes the watch's own items in the ledger of one stage.

    Every change is conditional on what was read before: of two runs that want the same, one gets a
    `LedgerConflictError`.
    """

    def last(self) -> dict[str, WatchRound]:
        """Return the last round of each task that had one."""
        rounds = {}
        for item in self._query(PARTITION, ROUND_PREFIX):
            task = str(item[aws_names.LEDGER_SORT_KEY]).removeprefix(ROUND_PREFIX)
            rounds[task] = WatchRound(
                task=task,
                at=str(item["at"]),
                revision=whole_number(item["revision"]),
                calls=whole_number(item["calls"]),
                active=VersionRef(version=str(item["version"]), sha256=str(item["sha256"]))
                if "version" in item
                else None,
                frozen=bool(item.get("frozen", False)),
            )
        return rounds

    def note(self, begun: WatchRound, *, before: WatchRound | None) -> None:
        """Note that a round begins, where `before` is still the last one.

        Raises:
            LedgerConflictError: another run has begun one meanwhile.
        """
        attributes: dict[str, object] = {
            "at": begun.at,
            "revision": begun.revision,
            "calls": begun.calls,
        }
        if begun.active is not None:
            attributes |= {
                "version": begun.active.version,
                "sha256": begun.active.sha256,
                "frozen": begun.frozen,
            }
        self._put(begun.sort_key, attributes, "at", before.at if before else None)

    def correct(self, begun: WatchRound, more: int) -> None:
        """Count `more` calls than a round was planned with, or fewer where `more` is negative.

        Raises:
            LedgerConflictError: another round of the task has begun meanwhile.
        """
        self.note(replace(begun, calls=begun.calls + more), before=begun)

    def lease(self) -> WatchLease | None:
        """Return the newest lease, run out or not."""
        item = self._get((PARTITION, LEASE))
        if item is None:
            return None
        return WatchLease(
            holder=str(item["holder"]), release=str(item["release"]), until=str(item["until"])
        )

    def hold(self, lease: WatchLease, *, before: WatchLease | None) -> None:
        """Take the lease, or prolong it, where `before` is still the newest.

        Raises:
            LedgerConflictError: another run took it first.
        """
        self._put(
            LEASE,
            {"holder": lease.holder, "release": lease.release, "until": lease.until},
            "until",
            before.until if before else None,
        )

    def _put(self, sort: str, attributes: Attributes, attribute: str, believed: str | None) -> None:
        key = (PARTITION, sort)
        self._write(Step(key=key, attributes=attributes, attribute=attribute, believed=believed))
