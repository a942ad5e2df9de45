"""The state machine of a prompt version: every move that is allowed, and nothing else is.

One table, read by `transitions.py` that says what a move changes, by the tests that walk it at
random and by the page in `docs/states.md` that is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.gate.types import Status
from prompt_hub.repository.schema import JsonObject, version_key

LEAST_REASON = 10
"""Characters of a reason that a person must give; less than that says nothing."""


class State(StrEnum):
    """Where a version stands: `candidate` is what the registry does not know yet.

    The others have the names and the meaning of the registry's `VersionState`.
    """

    CANDIDATE = "candidate"
    BLOCKED = "blocked"
    RELEASED = "released"
    SUPERSEDED = "superseded"
    DOWNGRADED = "downgraded"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"


class Event(StrEnum):
    """What may happen to a version."""

    PROMOTE = "promote"
    OVERRIDE = "override"
    BLOCK = "block"
    LEAVE_OPEN = "leave open"
    REQUALIFY = "requalify"
    FALL_SHORT = "fall short"
    SUPERSEDE = "supersede"
    DOWNGRADE = "downgrade"
    ARCHIVE = "archive"
    QUARANTINE = "quarantine"
    RESTORE = "restore"


def _meaning(event: Event) -> str:
    match event:
        case Event.PROMOTE:
            return "the gate passes it: it becomes the champion"
        case Event.OVERRIDE:
            return "a person releases it against its verdict"
        case Event.BLOCK:
            return "the gate blocks it"
        case Event.LEAVE_OPEN:
            return "the gate cannot decide: its record is kept, nothing moves"
        case Event.REQUALIFY:
            return "the champion passes on another model"
        case Event.FALL_SHORT:
            return "the champion does not pass on another model: activation refuses it there"
        case Event.SUPERSEDE:
            return "a newer version takes its place"
        case Event.DOWNGRADE:
            return "a person takes the champion out for an older version"
        case Event.ARCHIVE:
            return "a person retires it with no successor"
        case Event.QUARANTINE:
            return "it did harm: out of production, and out of images once no stage serves it"
        case Event.RESTORE:
            return "a person releases it again, in the champion's place or where there is none"
        case _:
            assert_never(event)


MEANING = {event: _meaning(event) for event in Event}


@dataclass(frozen=True)
class Decision:
    """Who answers for a move by hand, and why; `override` brings back what was taken out.

    A rollback that is written back has a name, too, and the `evidence` that it decided on.
    """

    person: str
    reason: str
    override: bool = False
    evidence: JsonObject | None = None


@dataclass(frozen=True, kw_only=True)
class TransitionContext:
    """What guards look at: the version, its verdict, the champion, who decided.

    `same_content` says that the version is the champion word for word, `quarantined_as` which
    version that did harm has its content.
    """

    version: str
    released: str | None = None
    same_content: bool = False
    quarantined_as: str | None = None
    status: Status | None = None
    reasons: tuple[str, ...] = ()
    decision: Decision | None = None


@dataclass(frozen=True)
class Guard:
    """A condition of a move: what it needs, what a case lacks in words (None: nothing), a hint."""

    needs: str
    lacks: Callable[[TransitionContext], str | None]
    hint: str


def _unpassed(case: TransitionContext) -> str | None:
    if case.status is Status.PASS:
        return None
    reasons = f" ({'; '.join(case.reasons)})" if case.reasons else ""
    return f"its verdict is {case.status or Status.NOT_MEASURED}{reasons}"


def _undecided(case: TransitionContext) -> str | None:
    if case.status in (Status.BLOCK, Status.INCONCLUSIVE):
        return None
    return f"its verdict is {case.status or Status.NOT_MEASURED}, which nobody can override"


def _not_newer(case: TransitionContext) -> str | None:
    if case.released is None or version_key(case.version) > version_key(case.released):
        return None
    return f"it is not newer than the released {case.released}"


def _other_content(case: TransitionContext) -> str | None:
    return None if case.same_content else "it was released with other content"


def _known_harm(case: TransitionContext) -> str | None:
    if case.quarantined_as is None or _unnamed(case) is None:
        return None
    return f"its content is that of {case.quarantined_as}, which did harm and is quarantined"


def _unnamed(case: TransitionContext) -> str | None:
    decision = case.decision
    if decision is None or not decision.person.strip():
        return "nobody is named who answers for it"
    if len(decision.reason.strip()) < LEAST_REASON:
        return f"the reason has less than {LEAST_REASON} characters"
    return None


def _unasked(case: TransitionContext) -> str | None:
    overridden = case.decision is not None and case.decision.override
    return None if overridden else "it was taken out, and nobody insists on it"


_RAISE = "Raise the candidate's version."

PASSED = Guard(
    "the verdict PASS",
    _unpassed,
    "Mend the prompt, or override by name with `prompt-hub promote override`.",
)
OPEN = Guard(
    "the verdict BLOCK or INCONCLUSIVE",
    _undecided,
    "Evaluate again: only what was measured can be decided otherwise.",
)
NEWER = Guard("a version newer than the released one", _not_newer, _RAISE)
HARMLESS = Guard(
    "content that is not quarantined, or a named override",
    _known_harm,
    "Mend the prompt, or override by name with `prompt-hub promote override`.",
)
SAME = Guard("the released content", _other_content, _RAISE)
NAMED = Guard(
    f"a named person and a reason of {LEAST_REASON} characters",
    _unnamed,
    "Say who answers for it (--person), and why (--reason).",
)
INSISTED = Guard(
    "an explicit override",
    _unasked,
    "Release it all the same by `prompt-hub promote downgrade --to VERSION --override`.",
)


@dataclass(frozen=True)
class Move:
    """One allowed move."""

    source: State
    event: Event
    target: State
    guards: tuple[Guard, ...] = ()


def _moves(*rows: tuple[tuple[State, ...], Event, State | None, tuple[Guard, ...]]) -> list[Move]:
    """One move for each source; where the target is None the version stays where it is."""
    return [
        Move(source, event, target or source, guards)
        for sources, event, target, guards in rows
        for source in sources
    ]


UNRELEASED = (State.CANDIDATE, State.BLOCKED)
_TAKEN_OUT = (State.DOWNGRADED, State.ARCHIVED, State.QUARANTINED)
_RELEASED = (State.RELEASED,)

MOVES = _moves(
    (UNRELEASED, Event.PROMOTE, State.RELEASED, (PASSED, NEWER, HARMLESS)),
    (UNRELEASED, Event.OVERRIDE, State.RELEASED, (OPEN, NEWER, NAMED)),
    (UNRELEASED, Event.BLOCK, State.BLOCKED, ()),
    (UNRELEASED, Event.LEAVE_OPEN, None, ()),
    (_RELEASED, Event.REQUALIFY, State.RELEASED, (SAME, PASSED)),
    (_RELEASED, Event.OVERRIDE, State.RELEASED, (SAME, OPEN, NAMED)),
    (_RELEASED, Event.FALL_SHORT, State.RELEASED, (SAME,)),
    (_RELEASED, Event.SUPERSEDE, State.SUPERSEDED, ()),
    (_RELEASED, Event.DOWNGRADE, State.DOWNGRADED, (NAMED,)),
    ((State.RELEASED, State.SUPERSEDED), Event.ARCHIVE, State.ARCHIVED, (NAMED,)),
    (_RELEASED, Event.QUARANTINE, State.QUARANTINED, (NAMED,)),
    ((State.SUPERSEDED,), Event.RESTORE, State.RELEASED, (NAMED,)),
    (_TAKEN_OUT, Event.RESTORE, State.RELEASED, (NAMED, INSISTED)),
    (
        (State.SUPERSEDED, State.DOWNGRADED, State.ARCHIVED),
        Event.QUARANTINE,
        State.QUARANTINED,
        (NAMED,),
    ),
)

_TABLE = {(move.source, move.event): move for move in MOVES}


class NotAllowedError(PromptHubError):
    """A move that the table does not have, or whose guard does not hold."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.BLOCKED)


def move(
    task: str, state: State, event: Event, case: TransitionContext, *, later: Collection[Guard] = ()
) -> State:
    """Return the state that `event` leads to; guards that can only be asked `later` are left out.

    Raises:
        NotAllowedError: one sentence that names the state, what is missing or what would be
            allowed.
    """
    found = _TABLE.get((state, event))
    what = f"{task} {case.version} is {'a candidate' if state is State.CANDIDATE else state}"
    if found is None:
        allowed = ", ".join(other.event for other in MOVES if other.source is state)
        raise NotAllowedError(
            f"{what}: '{event}' is not allowed from there, only {allowed}.",
            hint=_hint(state, event),
        )
    for guard in found.guards:
        lacking = None if guard in later else guard.lacks(case)
        if lacking is not None:
            raise NotAllowedError(
                f"{what}: '{event}' needs {guard.needs}, but {lacking}.",
                hint=guard.hint,
            )
    return found.target


def _hint(state: State, event: Event) -> str:
    """Say what to do where `event` is not allowed from `state`."""
    match state:
        case State.RELEASED:
            return _RAISE
        case State.SUPERSEDED:
            return (
                "Go back to it with `prompt-hub promote downgrade --to`, or raise"
                " the candidate's version."
            )
        case State.DOWNGRADED | State.ARCHIVED | State.QUARANTINED:
            if event in (Event.ARCHIVE, Event.QUARANTINE):
                return "It is out of service already."
            return (
                "Raise the candidate's version; its own number comes back by"
                " `prompt-hub promote downgrade --override` only."
            )
        case State.CANDIDATE | State.BLOCKED:
            return ""
        case _:
            assert_never(state)
