"""What stages decided about versions since git last did: which of it git takes over, and how.

A stage's ledger is ahead of git after a rollback, and after a person undid one. The newest word
about a version counts, whichever stage it was said in, and git's own word is one of them: see
docs/architecture.md#what-git-learns-from-the-stages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, cast

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.items import (
    BY_HAND,
    Event,
    EventKind,
    VersionRecord,
    VersionRef,
    VersionState,
)
from prompt_hub.promotion import transitions
from prompt_hub.promotion.registry_view import TaskRegistryView
from prompt_hub.promotion.states import Decision
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask, RegisteredVersion, Registry
from prompt_hub.repository.registry import VersionState as GitState
from prompt_hub.repository.schema import JsonObject, Strict, Version, version_key
from prompt_hub.repository.transaction import apply

if TYPE_CHECKING:
    from prompt_hub.ledger.table import Ledger

Action = Literal["quarantined", "restored"]
Going = Mapping[str, Set[str]]
ROLLBACK = "rollback ("
"""What the name of a rollback begins with, where git names who decided: `rollback (stage)`."""


@dataclass(frozen=True, kw_only=True)
class StageWord:
    """The last thing that was said about one version in one stage.

    `quarantined`: the rollback took it out. Otherwise a named person chose it by hand. `reached`
    is where a rollback went, `evidence` the numbers that decided it.
    """

    stage: str
    task: str
    version: VersionRef
    quarantined: bool
    by: str
    reason: str
    at: str
    reached: VersionRef | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)

    @property
    def moment(self) -> datetime:
        """When it was said."""
        return datetime.fromisoformat(self.at)


class WrittenBack(Strict):
    """One version whose state git took over from a stage; `to` is what is released since."""

    task: str
    version: Version
    action: Action
    stage: str
    person: str
    reason: str
    to: Version | None
    at: datetime


# --- Reading the stages --------------------------------------------------------------------------


def read_words(stage: str, ledger: Ledger) -> list[StageWord]:
    """Return what stands about every version in the ledger of `stage`, the drill's left out.

    Raises `LedgerMissingError` where the stage was never deployed.
    """
    return [
        word
        # Git knows nothing of the drill's own task, which is rolled back for show.
        for task in sorted(ledger.every_pointer().keys() - {aws_names.DRILL_TASK})
        for word in stage_words(stage, task, ledger.versions(task), ledger.events(task))
    ]


def stage_words(
    stage: str, task: str, versions: Mapping[str, VersionRecord], history: Iterable[Event]
) -> list[StageWord]:
    """Return the last word about each version of `task`; `history` is newest first."""
    events = list(history)
    return [
        word
        for record in versions.values()
        if (word := _word(stage, task, record, events)) is not None
    ]


def _word(stage: str, task: str, record: VersionRecord, events: list[Event]) -> StageWord | None:
    reference = VersionRef(version=record.version, sha256=record.sha256)
    if record.state is VersionState.QUARANTINED:
        event = next((e for e in events if _rolled_back(e, reference)), None)
        return StageWord(
            stage=stage,
            task=task,
            version=reference,
            quarantined=True,
            by=record.by,
            reason=record.reason,
            at=record.at,
            reached=event.reached if event else None,
            evidence={"revision": event.revision, **event.evidence} if event else {},
        )
    if record.state.taken_out:
        return None  # a person took it out by hand, and says so in git by a command
    chosen = next((e for e in events if _moved_by_hand(e, reference)), None)
    if chosen is None or chosen.left == reference:
        return None  # nobody chose it, or somebody has chosen another one instead since
    return StageWord(
        stage=stage,
        task=task,
        version=reference,
        quarantined=False,
        by=chosen.by,
        reason=chosen.reason,
        at=chosen.at,
    )


def _rolled_back(event: Event, version: VersionRef) -> bool:
    return event.kind is EventKind.ROLLED_BACK and event.left == version


def _moved_by_hand(event: Event, version: VersionRef) -> bool:
    """Whether a person moved the pointer to or from a version."""
    moved = event.kind in {EventKind.ACTIVATED, EventKind.DOWNGRADED}
    moved = moved and event.left != event.reached and version in (event.left, event.reached)
    return moved and event.code == BY_HAND


# --- Writing into git ----------------------------------------------------------------------------


def write_back(
    repository: PromptRepository, words: Iterable[StageWord], say: Callable[[str], None]
) -> tuple[WrittenBack, ...]:
    """Write into the bot layers what the stages decided and git does not say yet.

    What git says already changes nothing. What cannot be written is said, and holds up no other.
    """
    written = []
    newest = list(_newest(words))
    going = _going(newest, repository.registry())
    for word in _in_order(newest, repository):
        try:
            done = _write(repository, word, going, say)
        except PromptHubError as error:
            say(f"{_what(word)} is not written back: {error.message}")
            continue
        if done is not None:
            say(f"{done.task} {done.version}: {done.action} ({done.person}: {done.reason})")
            written.append(done)
    return tuple(written)


def standing_quarantines(words: Iterable[StageWord], registry: Registry) -> list[StageWord]:
    """Return the quarantines of stages that nobody has decided against since, in git or a stage."""
    return [
        word
        for word in _newest(words)
        if word.quarantined
        and not (
            (task := registry.tasks.get(word.task))
            and (entry := task.versions.get(word.version.version))
            and _released_knowingly(entry, word)
        )
    ]


def _released_knowingly(entry: RegisteredVersion, word: StageWord) -> bool:
    """Whether a person released the version in git after its rollback.

    Whoever took it out there as well has not lifted the quarantine.
    """
    released = entry.state in {GitState.RELEASED, GitState.SUPERSEDED}
    by_person = entry.person is not None and not by_rollback(entry.person)
    return released and by_person and entry.at > word.moment


def _newest(words: Iterable[StageWord]) -> Iterator[StageWord]:
    """Return the newest word about each version; of two at one moment, that of the rollback."""
    found: dict[tuple[str, VersionRef], StageWord] = {}
    for word in sorted(words, key=lambda word: (word.moment, word.quarantined)):
        found[word.task, word.version] = word
    yield from found.values()


def _going(words: Iterable[StageWord], registry: Registry) -> Going:
    """Return what the words quarantine, by task: nothing that comes back has to wait for it."""
    going: dict[str, set[str]] = {}
    for word in standing_quarantines(words, registry):
        task = registry.tasks.get(word.task)
        entry = task.versions.get(word.version.version) if task else None
        if entry is not None and entry.sha256 == word.version.sha256:
            going.setdefault(word.task, set()).add(word.version.version)
    return going


def _in_order(words: Iterable[StageWord], repository: PromptRepository) -> list[StageWord]:
    """Put released versions last: what takes their place must not be one that goes, too."""
    tasks = repository.registry().tasks

    def order(word: StageWord) -> tuple[str, bool, tuple[int, ...]]:
        entry = tasks.get(word.task)
        return (
            word.task,
            entry is not None and entry.released == word.version.version,
            version_key(word.version.version),
        )

    return sorted(words, key=order)


def _write(
    repository: PromptRepository, word: StageWord, going: Going, say: Callable[[str], None]
) -> WrittenBack | None:
    view = TaskRegistryView(repository.registry(), word.task)
    entry = view.version(word.version.version)
    if view.entry is None or entry is None or entry.sha256 != word.version.sha256:
        if word.quarantined:
            say(f"{_what(word)} is not written back: git has no such version with this content")
        return None
    if word.task not in repository.tasks():
        return None  # nothing of the task is released any more
    if word.quarantined:
        return _quarantine(repository, word, view.entry, entry, say)
    return _restore(repository, word, view.entry, entry, going.get(word.task, frozenset()))


def _quarantine(
    repository: PromptRepository,
    word: StageWord,
    task: RegisteredTask,
    entry: RegisteredVersion,
    say: Callable[[str], None],
) -> WrittenBack | None:
    if entry.state not in {GitState.RELEASED, GitState.SUPERSEDED}:
        return None  # git has it out of production already, and a person's word there stands
    if _released_knowingly(entry, word):
        return None
    successor = None
    if task.released == word.version.version:
        archived = {old.version for old in repository.archived(word.task)}
        successor = _successor(task, word, archived)
        if successor is None:
            say(
                f"WARNING: {_what(word)} stays released in git: there is no superseded version to"
                " release in its place. Promote a repaired one, or archive the task."
            )
            return None
    decision = Decision(
        f"{ROLLBACK}{word.stage})",
        f"rolled back in {word.stage}: {word.reason}",
        evidence=_evidence(word),
    )
    apply(
        repository.root,
        transitions.quarantine(
            repository,
            word.task,
            word.version.version,
            decision,
            word.moment,
            successor=successor,
        ),
    )
    return _written(word, "quarantined", decision, successor or task.released)


def _successor(task: RegisteredTask, word: StageWord, archived: Collection[str]) -> str | None:
    """Return what the stage went back to, if git may release it, else the newest one older.

    A version whose file is gone cannot be released, whatever the registry says.
    """
    older = [
        version
        for version, entry in task.versions.items()
        if entry.state is GitState.SUPERSEDED
        and version in archived
        and version_key(version) < version_key(word.version.version)
    ]
    reached = word.reached
    if (
        reached is not None
        and reached.version in older
        and task.versions[reached.version].sha256 == reached.sha256
    ):
        return reached.version
    return max(older, key=version_key, default=None)


def _restore(
    repository: PromptRepository,
    word: StageWord,
    task: RegisteredTask,
    entry: RegisteredVersion,
    going: Set[str],
) -> WrittenBack | None:
    """Release again what a person chose by hand after a rollback had been written into git.

    `going` are the task's versions that are quarantined with the same words.
    """
    lifted = entry.state is GitState.QUARANTINED and by_rollback(entry.person)
    newer = (
        task.released is not None
        and task.released not in going
        and version_key(task.released) > version_key(word.version.version)
    )
    if not lifted or newer or entry.at >= word.moment or _decided_since(task, word, going):
        return None
    decision = Decision(word.by, f"undone in {word.stage}: {word.reason}", override=True)
    apply(
        repository.root,
        transitions.undo_rollback(
            repository, word.task, word.version.version, decision, word.moment
        ),
    )
    return _written(word, "restored", decision, word.version.version)


def _decided_since(task: RegisteredTask, word: StageWord, going: Set[str]) -> bool:
    """Whether a person has decided in git, after the word, what is released, or that nothing is."""
    deciding = {GitState.ARCHIVED} if task.released is None else {GitState.RELEASED}
    return any(
        entry.state in deciding
        and version not in going
        and entry.person is not None
        and not by_rollback(entry.person)
        and entry.at > word.moment
        for version, entry in task.versions.items()
    )


def by_rollback(person: str | None) -> bool:
    """Whether git names a stage's rollback as who decided."""
    return person is not None and person.startswith(ROLLBACK)


def _evidence(word: StageWord) -> JsonObject:
    # The ledger holds JSON values only; they are copied as they are.
    return {"stage": word.stage, **cast(JsonObject, dict(word.evidence))}


def _written(word: StageWord, action: Action, decision: Decision, to: str | None) -> WrittenBack:
    return WrittenBack(
        task=word.task,
        version=word.version.version,
        action=action,
        stage=word.stage,
        person=decision.person,
        reason=decision.reason,
        to=to,
        at=word.moment,
    )


def _what(word: StageWord) -> str:
    state = "quarantined" if word.quarantined else "chosen by hand"
    return f"{word.task} {word.version.version}, {state} in {word.stage},"
