"""What people are told: what happened, what was done, how to undo it."""

from __future__ import annotations

from typing import assert_never

from prompt_hub.ledger.items import Event, EventKind

SUBJECT_LIMIT = 100
"""SNS takes no longer subject, and ASCII only."""


def subject(event: Event, stage: str) -> str:
    """One line, fit for SNS."""
    headline = _headline(event)
    text = f"[prompt-hub {stage}] {event.task}: {headline}"
    return text.encode("ascii", "replace").decode("ascii")[:SUBJECT_LIMIT]


def body(event: Event, stage: str) -> str:
    """Return the message: plain words, then the exact command."""
    return "\n".join(
        [
            f"Task {event.task} in stage {stage}: {_headline(event)}.",
            "",
            f"What happened: {event.reason}",
            f"What was done: {_done(event)}",
            f"Who and when:  {event.by}, {event.at}, ledger revision {event.revision}",
            "",
            _next(event, stage),
        ]
    )


def _headline(event: Event) -> str:
    left = event.left.version if event.left else "nothing"
    reached = event.reached.version
    match event.kind:
        case EventKind.ROLLED_BACK:
            return f"rolled back {left} -> {reached}"
        case EventKind.DOWNGRADED:
            return f"downgraded by hand {left} -> {reached}"
        case EventKind.ACTIVATED:
            return f"activated by hand {left} -> {reached}"
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


def _done(event: Event) -> str:
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


def _next(event: Event, stage: str) -> str:
    where = f"{event.task} --stage {stage}"
    signed = '--person YOUR-NAME --reason "why"'
    if event.left is not None and event.left != event.reached:
        return (
            f"To undo it:\n  prompt-hub ledger activate {where} --to {event.left.version} {signed}"
        )
    if event.kind is EventKind.FROZEN:
        return (
            "When the cause is found, let releases move it again:\n"
            f"  prompt-hub ledger unfreeze {where} {signed}"
        )
    return (
        "To see its history, and to choose another version by hand:\n"
        f"  prompt-hub ledger show {where}\n"
        f"  prompt-hub ledger downgrade {where} --to VERSION {signed}"
    )
