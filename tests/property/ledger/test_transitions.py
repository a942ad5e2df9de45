"""What must hold of the ledger after any order of changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from prompt_hub.ledger.errors import LedgerConflictError, TransitionRefusedError
from prompt_hub.ledger.items import (
    EventKind,
    VersionState,
)
from prompt_hub.ledger.transitions import Cause, TaskState, activate, seed
from tests.unit.ledger.causes import RELEASE, cause, reference
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

TASKS = ("part-class", "brand")
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0")


class LedgerHistory(RuleBasedStateMachine):
    """Any order of changes of two tasks, legal or not, against the fake table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = FakeDynamoDB()
        self.ledger = ledger_on(self.table)
        self.minute = 0
        self.overridden: set[tuple[str, str]] = set()

    def attempt(self, task: str, change: Callable[[int, Cause], object]) -> bool:
        """Make a change; a refused one writes nothing, an accepted one leaves the other task be."""
        before = dict(self.table.items)
        others = {
            key: item for key, item in before.items() if key[1] != task and task not in key[0]
        }
        pointer = self.ledger.pointer(task)
        self.minute += 1
        try:
            change(pointer.revision if pointer else 0, cause(self.minute))
        except (TransitionRefusedError, LedgerConflictError):
            assert self.table.items == before
            return False
        others.pop(("HEAD", "HEAD"), None)
        assert all(self.table.items[key] == item for key, item in others.items())
        return True

    @rule(
        task=st.sampled_from(TASKS),
        to=st.sampled_from(VERSIONS),
        previous=st.sampled_from([None, "1.0.0"]),
    )
    def seed(self, task: str, to: str, previous: str | None) -> None:
        if previous == to:
            return
        way_back = reference(previous) if previous else None
        self.attempt(
            task,
            lambda seen, why: self.ledger.seed(
                task, reference(to), previous=way_back, release=RELEASE, cause=why
            ),
        )

    @rule(
        task=st.sampled_from(TASKS),
        to=st.sampled_from(VERSIONS),
        override=st.booleans(),
        keep_way_back=st.booleans(),
    )
    def activate(self, task: str, to: str, override: bool, keep_way_back: bool) -> None:
        done = self.attempt(
            task,
            lambda seen, why: self.ledger.activate(
                task,
                reference(to),
                seen=seen or None,
                release=RELEASE,
                cause=why,
                keep_way_back=keep_way_back,
                override=override,
            ),
        )
        if done and override:
            self.overridden.add((task, to))

    @rule(task=st.sampled_from(TASKS))
    def roll_back(self, task: str) -> None:
        before = self.ledger.pointer(task)
        done = self.attempt(
            task, lambda seen, why: self.ledger.roll_back(task, seen=seen, cause=why)
        )
        if done:
            assert before is not None
            after = self.ledger.pointer(task)
            assert after is not None
            assert after.active == before.previous
            assert self.ledger.version_states(task)[before.version] is VersionState.QUARANTINED

    @rule(task=st.sampled_from(TASKS), to=st.sampled_from(VERSIONS))
    def downgrade(self, task: str, to: str) -> None:
        self.attempt(
            task,
            lambda seen, why: self.ledger.downgrade(task, reference(to), seen=seen, cause=why),
        )

    @rule(task=st.sampled_from(TASKS))
    def retire(self, task: str) -> None:
        before = self.ledger.pointer(task)
        done = self.attempt(
            task,
            lambda seen, why: self.ledger.retire(task, seen=seen, release=RELEASE, cause=why),
        )
        if done:
            assert before is not None
            assert not before.frozen
            assert self.ledger.pointer(task) is None
            assert self.ledger.version_states(task)[before.version] is VersionState.RETIRED

    @rule(task=st.sampled_from(TASKS), freeze=st.booleans())
    def freeze_or_unfreeze(self, task: str, freeze: bool) -> None:
        act = self.ledger.freeze if freeze else self.ledger.unfreeze
        self.attempt(task, lambda seen, why: act(task, seen=seen, cause=why))

    @rule(task=st.sampled_from(TASKS))
    def page(self, task: str) -> None:
        self.attempt(task, lambda seen, why: self.ledger.page(task, seen=seen, cause=why))

    @rule()
    def tell_people(self) -> None:
        now = datetime(2026, 11, 3, tzinfo=UTC)
        claim = self.ledger.claim(at=now, seconds=20)
        assert claim is not None
        assert self.ledger.claim(at=now, seconds=20) is None
        if pending := self.ledger.pending_events():
            claim = self.ledger.told(claim, pending, at=now)
        if rest := self.ledger.pending_events():
            assert {event.kind for event in rest} == {EventKind.ROLLED_BACK}
            self.ledger.finished(claim, rest)
        self.ledger.release(claim)
        assert self.ledger.pending_events() == ()

    @invariant()
    def exactly_one_active_version_and_pointer_agrees(self) -> None:
        for task in TASKS:
            pointer = self.ledger.pointer(task)
            states = self.ledger.version_states(task)
            active = [v for v, state in states.items() if state is VersionState.ACTIVE]
            assert active == ([pointer.version] if pointer else [])

    @invariant()
    def history_is_complete(self) -> None:
        revisions = sorted(event.revision for task in TASKS for event in self.ledger.events(task))
        assert revisions == list(range(1, self.ledger.revision() + 1))

    @invariant()
    def history_leads_to_the_pointer(self) -> None:
        for task in TASKS:
            reached = None
            for event in reversed(self.ledger.events(task)):
                assert event.left == reached
                reached = None if event.kind is EventKind.RETIRED else event.reached
            pointer = self.ledger.pointer(task)
            assert reached == (pointer.active if pointer else None)

    @invariant()
    def there_is_no_way_back_to_what_was_taken_out(self) -> None:
        for task, pointer in self.ledger.pointers().items():
            if pointer.previous is None:
                continue
            assert pointer.previous != pointer.active
            assert not self.ledger.version_states(task)[pointer.previous.version].taken_out

    @invariant()
    def what_was_taken_out_is_active_only_by_override(self) -> None:
        for task, pointer in self.ledger.pointers().items():
            taken_out = [
                event
                for event in self.ledger.events(task)
                if event.kind in {EventKind.ROLLED_BACK, EventKind.DOWNGRADED}
                and event.left == pointer.active
            ]
            assert not taken_out or (task, pointer.version) in self.overridden


LedgerHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestLedgerHistory = LedgerHistory.TestCase


@given(revision=st.integers(0, 10**9), frozen=st.booleans())
def test_a_change_makes_the_next_revision(revision: int, frozen: bool) -> None:
    first = seed(
        TaskState(task="brand", revision=revision, pointer=None),
        reference("1.0.0"),
        previous=None,
        release=RELEASE,
        cause=cause(),
    )
    assert first.pointer is not None
    assert first.event.revision == first.pointer.revision == revision + 1
    assert first.event.key[1] == f"EVENT#{revision + 1:012d}"

    state = TaskState(task="brand", revision=revision + 7, pointer=first.pointer)
    second = activate(state, reference("1.1.0"), release=RELEASE, cause=cause(1))
    assert second.event.revision == revision + 8
    assert second.event.left == reference("1.0.0")
