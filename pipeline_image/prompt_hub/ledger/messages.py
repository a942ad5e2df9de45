"""What people are told of an event: what happened, what was done, how to undo it.

The rollback Lambda sends it, and the console shows it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import assert_never

from prompt_hub.core import aws_names
from prompt_hub.core.foreign_text import mail_subject
from prompt_hub.core.wording import count
from prompt_hub.ledger.detector import RUNS_A_COMPARISON
from prompt_hub.ledger.items import BY_HAND, Event, EventKind

SIGNED = '--person YOUR-NAME --reason "WHY, in 10 characters or more"'
"""What a command is given that a person answers for, to be filled in."""
_SHOWS_NOTHING = {
    "calls-without-control",
    "calls-comparison-broke-off",
    "calls-not-reproduced",
}
"""Codes of pages on a comparison that another one may answer: it is a person's to ask for now."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What SNS is asked to deliver."""

    subject: str
    body: str


def message(event: Event, stage: str, *, repeated: bool = False) -> Message:
    """Return the message of one event: plain words, then the exact commands.

    `repeated`: people may have been told of it before, by an invocation that ended too early to
    note it.
    """
    title = headline(event)
    return Message(
        subject=mail_subject(f"[{aws_names.installation()} {stage}] {event.task}: {title}"),
        body="\n".join(_lines(event, stage, repeated=repeated)),
    )


def digest(events: Sequence[Event], stage: str, *, repeated: Collection[int] = ()) -> Message:
    """Return one message of many events; `repeated` holds the revisions told of before, perhaps."""
    counted = Counter(_COUNTED[event.kind] for event in events)
    counts = ", ".join(count(n, *words) for words, n in counted.most_common())
    lines = [f"{count(len(events), 'event')} in stage {stage}: {counts}.", ""]
    lines += [f"- {event.task}: {headline(event)}" for event in events]
    for event in events:
        lines += ["", "----", *_lines(event, stage, repeated=event.revision in repeated)]
    return Message(
        subject=mail_subject(
            f"[{aws_names.installation()} {stage}] {count(len(events), 'event')}: {counts}"
        ),
        body="\n".join(lines),
    )


_COUNTED = {
    EventKind.ROLLED_BACK: ("rolled back", "rolled back"),
    EventKind.DOWNGRADED: ("downgraded by hand", "downgraded by hand"),
    EventKind.ACTIVATED: ("activated by hand", "activated by hand"),
    EventKind.SEEDED: ("first version", "first versions"),
    EventKind.FROZEN: ("frozen", "frozen"),
    EventKind.UNFROZEN: ("unfrozen", "unfrozen"),
    EventKind.RETIRED: ("retired", "retired"),
    EventKind.PAGED: ("needs a person", "need a person"),
}


def _lines(event: Event, stage: str, *, repeated: bool) -> list[str]:
    again = ["You may have been told of this before: an earlier try failed or was cut off.", ""]
    return [
        *(again if repeated else []),
        f"Task {event.task} in stage {stage}: {headline(event)}.",
        "",
        f"What happened: {event.reason}",
        f"What was done: {done(event)}",
        f"Who and when:  {event.by}, {event.at}, ledger revision {event.revision}",
        f"In a browser:  prompt-hub console --stage {stage}, at"
        f" /incident/{event.task}/{event.revision}",
        "",
        *_elsewhere(stage),
        next_steps(event, stage),
    ]


def _elsewhere(stage: str) -> list[str]:
    """Say what commands know in a clone: elsewhere the usual name may be that of another ledger."""
    known = []
    if (name := aws_names.installation()) != aws_names.INSTALLATION:
        known.append(f"{aws_names.ENV_INSTALLATION}={name}")
    table = os.environ.get(aws_names.ENV_LEDGER_TABLE)
    if table and table != aws_names.ledger_table(stage):
        known.append(f"{aws_names.ENV_LEDGER_TABLES}={stage}={table}")
    if not known:
        return []
    first = f"  export {' '.join(known)}"
    return ["Outside of a clone that is up to date, before any command:", first, ""]


def headline(event: Event) -> str:
    """Return what happened, in the fewest words."""
    left = event.left.version if event.left else "nothing"
    reached = event.reached.version
    match event.kind:
        case EventKind.ROLLED_BACK:
            return f"rolled back {left} -> {reached}"
        case EventKind.DOWNGRADED:
            return f"downgraded by hand {left} -> {reached}"
        case EventKind.ACTIVATED:
            # A release activates, too: nobody is sent a message of it, but the console shows it.
            return f"activated{' by hand' if event.code == BY_HAND else ''} {left} -> {reached}"
        case EventKind.SEEDED:
            return f"first version {reached}"
        case EventKind.FROZEN:
            return f"frozen at {reached}"
        case EventKind.UNFROZEN:
            return f"unfrozen at {reached}"
        case EventKind.RETIRED:
            return f"retired, {reached} was the last version"
        case EventKind.PAGED:
            return f"needs a person, {reached} stays active"
        case _:
            assert_never(event.kind)


def done(event: Event) -> str:
    """Return what was done about it, in a sentence or two."""
    frozen = " The task stays frozen: no release moves it." if event.stays_frozen else ""
    return _what_was_done(event) + frozen


def _what_was_done(event: Event) -> str:
    left = event.left.version if event.left else "nothing"
    match event.kind:
        case EventKind.ROLLED_BACK:
            return (
                f"{event.reached.version} is active again; {left} is quarantined and does not come "
                "back with a later release. Running services follow within seconds."
            )
        case EventKind.DOWNGRADED:
            return f"{event.reached.version} is active; {left} comes back only by an override."
        case EventKind.FROZEN:
            return (
                f"nothing was rolled back: {event.reached.version} stays active, and no release "
                "moves this task until somebody unfreezes it."
            )
        case EventKind.PAGED:
            return f"nothing: {event.reached.version} stays active."
        case EventKind.RETIRED:
            return f"{event.reached.version} is out of service, and nothing takes its place."
        case EventKind.UNFROZEN:
            return "releases move this task again."
        case EventKind.SEEDED | EventKind.ACTIVATED:
            return f"{event.reached.version} is active."
        case _:
            assert_never(event.kind)


def next_steps(event: Event, stage: str) -> str:
    """Return what a person may do now, with the exact commands, each on a line of its own."""
    steps = _next_steps(event, stage)
    if event.stays_frozen and (unfreeze := _unfreeze(event, stage)) not in steps:
        steps += f"\nTo let releases move it again:\n{unfreeze}"
    return steps


def _unfreeze(event: Event, stage: str) -> str:
    return f"  prompt-hub ledger unfreeze {event.task} --stage {stage} {SIGNED}"


def _next_steps(event: Event, stage: str) -> str:
    where = f"{event.task} --stage {stage}"
    if event.left is not None and event.left != event.reached:
        in_stage = f"prompt-hub ledger activate {where} --to {event.left.version} {SIGNED}"
        if event.kind is EventKind.ACTIVATED:
            # It was taken out before a person insisted on it: it is again, for later stages, too.
            in_stage = f"prompt-hub ledger downgrade {where} --to {event.left.version} {SIGNED}"
        if event.kind is not EventKind.ROLLED_BACK:
            return f"To undo it:\n  {in_stage}"
        in_git = f"prompt-hub promote downgrade {event.task} --to {event.left.version} --override"
        return (
            f"To undo it here, within seconds; {stage} then keeps it whatever git says, and git\n"
            "and later stages follow with the next execution:\n"
            f"  {in_stage}\n"
            f"Once git says quarantined, minutes later, {stage} gets an image without it, and the\n"
            "command above is refused. Undo it in git first: `git pull`, the command below;\n"
            "commit, push and start the pipeline.\n"
            f"It lifts no quarantine of a stage: {stage} and later stages wait for the command\n"
            "above, which works again when that release runs there.\n"
            f"  {in_git} {SIGNED}\n"
            f"To have files of records made again that {event.left.version} answered (in a clone;\n"
            "it says first which they are and what that costs):\n"
            f"  prompt-hub repair {where} --version {event.left.version}"
        )
    if event.kind is EventKind.FROZEN or event.code == "provider-or-data":
        # No other version would do better: each asks the same provider.
        return f"When the cause is found, let releases move it again:\n{_unfreeze(event, stage)}"
    if event.kind is EventKind.RETIRED:
        # Nothing is active that a command of the ledger could move.
        back = f"prompt-hub promote downgrade {event.task} --to {event.reached.version} --override"
        return (
            "It comes back with the next version that passes. To release this one again in git:\n"
            "`git pull`, the command below; commit, push and start the pipeline.\n"
            f"  {back} {SIGNED}"
        )
    again = ""
    if event.code in _SHOWS_NOTHING:
        again = (
            f"A comparison speaks for {count(RUNS_A_COMPARISON, 'run')} of the schedule: nothing "
            "asks for another\none by itself until then. To compare both versions again now:\n"
            f"  prompt-hub watch {event.task} --compare --now --wait --stage {stage}\n"
        )
    return (
        f"{again}To see its history, and to choose another version by hand:\n"
        f"  prompt-hub ledger show {where}\n"
        f"  prompt-hub ledger downgrade {where} --to VERSION {SIGNED}\n"
        "One that was quarantined or downgraded here is refused there, and comes back by:\n"
        f"  prompt-hub ledger activate {where} --to VERSION {SIGNED}"
    )
