"""What the ledger says: one frozen dataclass for each kind of item.

`to_attributes` and `from_attributes` speak plain Python values (str, int, float, bool, None, list,
dict); how DynamoDB wants them is the business of `wire`. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

from prompt_hub.core import aws_names
from prompt_hub.core.exact import reaches
from prompt_hub.ledger.detector import Evidence, evidence_from
from prompt_hub.ledger.plain_values import mapping, real, whole_number

Attributes = dict[str, object]

HEAD_KEY = (aws_names.LEDGER_HEAD, "HEAD")
ACTIVE = aws_names.LEDGER_ACTIVE
DEPLOYED_KEY = (aws_names.LEDGER_RELEASE, "DEPLOYED")
VERSION_PREFIX = "VERSION#"
EVENT_PREFIX = "EVENT#"

BY_HAND = "by-hand"
"""Code of every change that a person makes by command."""
NO_WAY_BACK = "no_way_back"
"""In an event's evidence: code and reason why the version it left is not the way back."""


def task_partition(task: str) -> str:
    """Partition that holds the versions and the history of `task`."""
    return f"{aws_names.LEDGER_TASKS}{task}"


def score_partition(task: str) -> str:
    """Partition of the score samples of `task`: the only ones that the watch may write into."""
    return f"{aws_names.LEDGER_SCORES}{task}"


def timestamp(at: datetime) -> str:
    """`at` as the ledger writes times: UTC, to the microsecond, so that text order is time order.

    >>> timestamp(datetime(2026, 11, 3, 9, 30, tzinfo=UTC))
    '2026-11-03T09:30:00.000000Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class VersionState(StrEnum):
    """Where a version stands in one stage.

    `released`: carried by a release, never active here. `downgraded`: a person took it out by hand.
    `quarantined`: the rollback took it out. Neither of these two comes back without a named
    override. `retired`: git had nothing released for the task any more; it may come back.
    """

    RELEASED = "released"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    DOWNGRADED = "downgraded"
    QUARANTINED = "quarantined"
    RETIRED = "retired"

    @property
    def taken_out(self) -> bool:
        """Whether only a named override may activate a version in this state."""
        return self in {VersionState.DOWNGRADED, VersionState.QUARANTINED}


class EventKind(StrEnum):
    """What happened to a task."""

    SEEDED = "seeded"
    ACTIVATED = "activated"
    ROLLED_BACK = "rolled-back"
    DOWNGRADED = "downgraded"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    RETIRED = "retired"
    PAGED = "paged"


class Notify(StrEnum):
    """How far the news of an event has come.

    `pending`: nobody was told. `told`: people know; what writes a rollback back into git may not.
    `sent`: nothing is left to do.
    """

    NOT_NEEDED = "not-needed"
    PENDING = "pending"
    TOLD = "told"
    SENT = "sent"


@dataclass(frozen=True, kw_only=True)
class VersionRef:
    """A prompt version and the sha256 of its canonical content."""

    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ReleaseRef:
    """The release that a change came with; `made_at` orders releases."""

    release: str
    made_at: str


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What is active for one task.

    `previous` is where a rollback would go, `None` after one. A frozen task is left alone by
    activation. `shares` is the traffic by version, one version at 1.0 today. `revision` is that of
    the event which last changed the pointer. `release` is the newest release that moved it. A
    `retired` pointer has nothing active: `active` is what was, and an older release is still known.
    `frozen_by` and `frozen_reason` stay when the pointer moves; empty where an older release wrote.
    """

    task: str
    active: VersionRef
    previous: VersionRef | None
    frozen: bool
    revision: int
    changed_by: str
    reason: str
    at: str
    release: ReleaseRef
    retired: bool = False
    frozen_by: str = ""
    frozen_reason: str = ""

    @property
    def version(self) -> str:
        """The active version."""
        return self.active.version

    @property
    def sha256(self) -> str:
        """The hash of the active version."""
        return self.active.sha256

    @property
    def freeze_in_words(self) -> str:
        """That the task is frozen, by whom and why; whoever moved it since may be another."""
        if not self.frozen_by:
            return "frozen; `prompt-hub ledger show` says by whom"
        return f"frozen by {self.frozen_by}: {self.frozen_reason}"

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of the traffic by version."""
        return {self.active.version: 1.0}

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key."""
        return (ACTIVE, self.task)

    def to_attributes(self) -> Attributes:
        """Return the item without its keys."""
        return {
            "version": self.active.version,
            "sha256": self.active.sha256,
            "shares": dict(self.shares),
            "previous": _reference(self.previous),
            "frozen": self.frozen,
            "revision": self.revision,
            "changed_by": self.changed_by,
            "reason": self.reason,
            "at": self.at,
            "release": {"release": self.release.release, "made_at": self.release.made_at},
            "retired": self.retired,
            **({"frozen_by": self.frozen_by} if self.frozen_by else {}),
            **({"frozen_reason": self.frozen_reason} if self.frozen_reason else {}),
        }

    @classmethod
    def from_attributes(cls, task: str, item: Mapping[str, object]) -> Pointer:
        """Read back what `to_attributes` wrote."""
        release = mapping(item["release"])
        return cls(
            task=task,
            active=VersionRef(version=str(item["version"]), sha256=str(item["sha256"])),
            previous=_referenced(item["previous"]),
            frozen=bool(item["frozen"]),
            revision=whole_number(item["revision"]),
            changed_by=str(item["changed_by"]),
            reason=str(item["reason"]),
            at=str(item["at"]),
            release=ReleaseRef(release=str(release["release"]), made_at=str(release["made_at"])),
            retired=bool(item.get("retired", False)),
            frozen_by=str(item.get("frozen_by", "")),
            frozen_reason=str(item.get("frozen_reason", "")),
        )


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """State of one version of one task, and who brought it there and why."""

    task: str
    version: str
    sha256: str
    state: VersionState
    by: str
    reason: str
    at: str

    @property
    def reference(self) -> VersionRef:
        """Version and hash."""
        return VersionRef(version=self.version, sha256=self.sha256)

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key."""
        return (task_partition(self.task), VERSION_PREFIX + self.version)

    def to_attributes(self) -> Attributes:
        """Return the item without its keys."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "state": self.state.value,
            "by": self.by,
            "reason": self.reason,
            "at": self.at,
        }

    @classmethod
    def from_attributes(cls, task: str, item: Mapping[str, object]) -> VersionRecord:
        """Read back what `to_attributes` wrote."""
        return cls(
            task=task,
            version=str(item["version"]),
            sha256=str(item["sha256"]),
            state=VersionState(str(item["state"])),
            by=str(item["by"]),
            reason=str(item["reason"]),
            at=str(item["at"]),
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of a task's history; its id is the revision that it made.

    `code` names the reason for a program (so that people are not told twice), `reason` is for
    people. `evidence` holds the numbers that decided, as they were read. `stays_frozen`: the task
    was frozen before, and still is.
    """

    task: str
    revision: int
    kind: EventKind
    left: VersionRef | None
    reached: VersionRef
    by: str
    code: str
    reason: str
    at: str
    notify: Notify
    evidence: Mapping[str, object] = field(default_factory=dict)
    stays_frozen: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key; the revision is padded so that text order is history order."""
        return (task_partition(self.task), f"{EVENT_PREFIX}{self.revision:012d}")

    @property
    def reaches_the_bus(self) -> bool:
        """Whether git has to learn of it: people knowing is then not all that is left to do."""
        return self.kind is EventKind.ROLLED_BACK

    def to_attributes(self) -> Attributes:
        """Return the item without its keys."""
        return {
            "revision": self.revision,
            "kind": self.kind.value,
            "left": _reference(self.left),
            "reached": _reference(self.reached),
            "by": self.by,
            "code": self.code,
            "reason": self.reason,
            "at": self.at,
            "notify": self.notify.value,
            "evidence": dict(self.evidence),
            **({"stays_frozen": True} if self.stays_frozen else {}),
        }

    @classmethod
    def from_attributes(cls, task: str, item: Mapping[str, object]) -> Event:
        """Read back what `to_attributes` wrote."""
        reached = _referenced(item["reached"])
        if reached is None:
            raise ValueError(f"event {item['revision']} of {task} names no version")
        return cls(
            task=task,
            revision=whole_number(item["revision"]),
            kind=EventKind(str(item["kind"])),
            left=_referenced(item["left"]),
            reached=reached,
            by=str(item["by"]),
            code=str(item["code"]),
            reason=str(item["reason"]),
            at=str(item["at"]),
            notify=Notify(str(item["notify"])),
            evidence=mapping(item["evidence"]),
            stays_frozen=bool(item.get("stays_frozen", False)),
        )


@dataclass(frozen=True, kw_only=True)
class ScoreSample:
    """One measurement of one version by the score watch.

    `score` and `threshold` lie in 0..1, `threshold` is the one locked with the version, `n` counts
    examples, `interval` is the score's. `evaluation` names the round: the active version and its
    control carry the same one, for they were measured on the same examples. `evidence` has the sums
    that the detector needs; None in samples from before there was one. `release` is the one whose
    image measured; None in samples of images that did not say it. `answered_by` is what the models
    called themselves that answered, `judged_on` what they did at the gate; empty where they do not
    say, or the image did not.
    """

    task: str
    version: str
    score: float
    threshold: float
    n: int
    interval: tuple[float, float]
    evaluation: str
    at: str
    evidence: Evidence | None = None
    release: str | None = None
    answered_by: tuple[str, ...] = ()
    judged_on: tuple[str, ...] = ()

    @property
    def below_threshold(self) -> bool:
        """Whether the score misses the threshold locked with the version."""
        return not reaches(self.score, self.threshold)

    @property
    def answered_by_others(self) -> bool:
        """Whether other models answered than at the gate, by what they call themselves."""
        known = self.answered_by and self.judged_on
        return bool(known) and set(self.answered_by) != set(self.judged_on)

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key; the version keeps a control apart from the active one."""
        return (score_partition(self.task), f"{self.at}#{self.version}")

    def to_attributes(self) -> Attributes:
        """Return the item without its keys."""
        return {
            "version": self.version,
            "score": self.score,
            "threshold": self.threshold,
            "n": self.n,
            "interval": list(self.interval),
            "evaluation": self.evaluation,
            "at": self.at,
            **({} if self.evidence is None else {"evidence": self.evidence.to_attributes()}),
            **({} if self.release is None else {"release": self.release}),
            **({"answered_by": list(self.answered_by)} if self.answered_by else {}),
            **({"judged_on": list(self.judged_on)} if self.judged_on else {}),
        }

    @classmethod
    def from_attributes(cls, task: str, item: Mapping[str, object]) -> ScoreSample:
        """Read back what `to_attributes` wrote."""
        evidence, release = item.get("evidence"), item.get("release")
        low, high = cast(list[object], item["interval"])
        return cls(
            task=task,
            version=str(item["version"]),
            score=real(item["score"]),
            threshold=real(item["threshold"]),
            n=whole_number(item["n"]),
            interval=(real(low), real(high)),
            evaluation=str(item["evaluation"]),
            at=str(item["at"]),
            evidence=None if evidence is None else evidence_from(mapping(evidence)),
            release=None if release is None else str(release),
            answered_by=tuple(map(str, cast(list[object], item.get("answered_by", [])))),
            judged_on=tuple(map(str, cast(list[object], item.get("judged_on", [])))),
        )


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The release whose image the stage runs, and the hash of each version it carries, by task."""

    release: ReleaseRef
    commit: str
    carries: Mapping[str, Mapping[str, str]]
    at: str

    def has(self, task: str, reference: VersionRef) -> bool:
        """Whether the running image can serve `reference`."""
        return self.carries.get(task, {}).get(reference.version) == reference.sha256

    def to_attributes(self) -> Attributes:
        """Return the item without its keys."""
        return {
            "release": self.release.release,
            "made_at": self.release.made_at,
            "commit": self.commit,
            "carries": {task: dict(versions) for task, versions in self.carries.items()},
            "at": self.at,
        }

    @classmethod
    def from_attributes(cls, item: Mapping[str, object]) -> Deployed:
        """Read back what `to_attributes` wrote."""
        return cls(
            release=ReleaseRef(release=str(item["release"]), made_at=str(item["made_at"])),
            commit=str(item["commit"]),
            carries={
                task: {version: str(sha256) for version, sha256 in mapping(versions).items()}
                for task, versions in mapping(item["carries"]).items()
            },
            at=str(item["at"]),
        )


def _reference(reference: VersionRef | None) -> Attributes | None:
    if reference is None:
        return None
    return {"version": reference.version, "sha256": reference.sha256}


def _referenced(value: object) -> VersionRef | None:
    if value is None:
        return None
    item = mapping(value)
    return VersionRef(version=str(item["version"]), sha256=str(item["sha256"]))
