"""The table of moves: complete, refused in a sentence otherwise, and as `docs/states.md` has it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode
from prompt_hub.core.generated_page import replace_generated_part
from prompt_hub.gate.types import Status
from prompt_hub.promotion import states_page
from prompt_hub.promotion.states import (
    HARMLESS,
    INSISTED,
    MEANING,
    MOVES,
    NAMED,
    NEWER,
    OPEN,
    PASSED,
    SAME,
    Decision,
    Event,
    Guard,
    Move,
    NotAllowedError,
    State,
    TransitionContext,
    move,
)
from prompt_hub.repository.registry import VersionState

ADA = Decision("Ada Lovelace", "customers see wrong units", override=True)
ALLOWED = {(item.source, item.event): item for item in MOVES}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "states.md"


def fitting(guards: tuple[Guard, ...]) -> TransitionContext:
    """A case in which all of `guards` hold."""
    return TransitionContext(
        version="1.2.0",
        released="1.1.0",
        same_content=SAME in guards,
        status=Status.PASS if PASSED in guards else Status.BLOCK,
        decision=ADA,
    )


def test_every_state_of_the_registry_is_a_state_and_can_be_reached() -> None:
    assert {*State} == {State(state) for state in VersionState} | {State.CANDIDATE}
    assert {entry.target for entry in MOVES} == {*State}
    assert {item.event for item in MOVES} == {*Event} == MEANING.keys()
    assert len(ALLOWED) == len(MOVES), "one state and one event lead to one state"


@pytest.mark.parametrize("row", MOVES, ids=lambda item: f"{item.source}, {item.event}")
def test_a_move_of_the_table_is_made_when_its_guards_hold(row: Move) -> None:
    assert move("part-class", row.source, row.event, fitting(row.guards)) is row.target


@pytest.mark.parametrize(
    ("state", "event"), [pair for pair in product(State, Event) if pair not in ALLOWED]
)
def test_any_other_move_is_refused_and_the_allowed_ones_are_named(
    state: State, event: Event
) -> None:
    with pytest.raises(NotAllowedError) as refused:
        move("part-class", state, event, fitting(()))
    message = refused.value.message
    assert f"part-class 1.2.0 is {'a candidate' if state == 'candidate' else state}: " in message
    assert f"'{event}' is not allowed" in message
    for other in {item.event for item in MOVES if item.source is state}:
        assert other in message
    assert message.count(". ") == 0, "one sentence"
    assert refused.value.exit_code is ExitCode.BLOCKED


@pytest.mark.parametrize("state", [State.DOWNGRADED, State.ARCHIVED, State.QUARANTINED])
def test_who_wants_a_version_out_that_is_out_is_not_told_how_it_comes_back(state: State) -> None:
    for event in (Event.ARCHIVE, Event.PROMOTE):
        with pytest.raises(NotAllowedError) as refused:
            move("part-class", state, event, fitting(()))
        out = refused.value.hint == "It is out of service already."
        assert out is (event is Event.ARCHIVE)
        assert ("Raise" in refused.value.hint) is not out


LACKING = [
    (State.CANDIDATE, Event.PROMOTE, PASSED, {"status": Status.BLOCK}, "its verdict is BLOCK"),
    (State.CANDIDATE, Event.PROMOTE, PASSED, {"status": None}, "its verdict is NOT_MEASURED"),
    (State.BLOCKED, Event.PROMOTE, NEWER, {"released": "1.2.0"}, "not newer than the released"),
    (State.CANDIDATE, Event.PROMOTE, NEWER, {"released": "1.10.0"}, "released 1.10.0"),
    (State.BLOCKED, Event.OVERRIDE, OPEN, {"status": Status.NOT_MEASURED}, "nobody can override"),
    (State.CANDIDATE, Event.OVERRIDE, NAMED, {"decision": None}, "nobody is named"),
    (State.RELEASED, Event.ARCHIVE, NAMED, {"decision": Decision(" \n", "x" * 20)}, "nobody is"),
    (State.RELEASED, Event.DOWNGRADE, NAMED, {"decision": Decision("Ada", " why ")}, "less than"),
    (
        State.CANDIDATE,
        Event.PROMOTE,
        HARMLESS,
        {"quarantined_as": "1.0.0", "decision": None},
        "that of 1.0.0",
    ),
    (State.RELEASED, Event.REQUALIFY, SAME, {"same_content": False}, "other content"),
    (
        State.QUARANTINED,
        Event.RESTORE,
        INSISTED,
        {"decision": Decision("Ada", "customers see wrong units")},
        "nobody insists",
    ),
]


@pytest.mark.parametrize(("state", "event", "guard", "change", "expected"), LACKING)
def test_a_guard_that_does_not_hold_is_named_with_what_was_found(
    state: State, event: Event, guard: Guard, change: dict[str, object], expected: str
) -> None:
    fits = fitting(ALLOWED[state, event].guards)
    lacking = replace(fits, **change)  # type: ignore[arg-type]
    with pytest.raises(NotAllowedError) as refused:
        move("part-class", state, event, lacking)
    assert f"needs {guard.needs}" in refused.value.message
    assert expected in refused.value.message
    assert refused.value.hint
    move("part-class", state, event, lacking, later=(guard,))


def test_every_guard_is_tried_above() -> None:
    assert {guard for _, _, guard, _, _ in LACKING} == {
        guard for item in MOVES for guard in item.guards
    }


@pytest.mark.shipped
def test_the_page_says_what_the_table_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = replace_generated_part(page, states_page.SOURCE, states_page.part())
    assert page == written, "run `make docs`"
    box = page.partition("as out {")[2].partition("  }\n")[0]
    for item in MOVES:
        if item.event is Event.RESTORE:
            # One arrow for all, of the box that they stand in.
            assert f"\n    {item.source}\n" in box
            assert f"  out --> {item.target}: {item.event}\n" in page
        else:
            assert re.search(f"  {item.source} --> {item.target}: .*{item.event}", page)
        assert f"| {item.event} | " in page
