"""`prompt-hub ledger`: what is live and how it came about, and what people do about it by hand."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.activate_command import carried
from prompt_hub.release.stage import (
    add_signature,
    add_stage,
    explained,
    ledger_of,
    now,
    stage_of,
)

if TYPE_CHECKING:
    from prompt_hub.ledger.items import Event, Pointer
    from prompt_hub.ledger.table import Ledger

HISTORY = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True)
    show = actions.add_parser("show", help="what is active, and the newest history")
    add_stage(show)
    show.add_argument("--task", help="one task only")
    show.add_argument("--json", action="store_true", help="for programs")
    for name, summary in (
        ("freeze", "keep releases away from a task"),
        ("unfreeze", "let releases move a task again"),
        ("downgrade", "go to an older version by hand"),
    ):
        action = actions.add_parser(name, help=summary)
        add_stage(action)
        action.add_argument("--task", required=True)
        if name == "downgrade":
            action.add_argument("--version", required=True)
        add_signature(action, by="--by")


@explained()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Show or change the ledger; a change needs a person and a reason."""
    stage = stage_of(arguments)
    ledger = ledger_of(stage)
    if arguments.action == "show":
        _show(ledger, stage, arguments)
    else:
        _change(ledger, stage, arguments)
    return ExitCode.OK


def _change(ledger: Ledger, stage: str, arguments: argparse.Namespace) -> None:
    if not (arguments.by and arguments.reason):
        raise PromptHubError("a change by hand needs --by and --reason.")
    task: str = arguments.task
    pointer = ledger.pointer(task)
    if pointer is None:
        raise PromptHubError(
            f"no version of {task} is active in {stage}.", exit_code=ExitCode.BLOCKED
        )
    cause = Cause(by=arguments.by, reason=arguments.reason, at=now(), code="by-hand")
    seen = pointer.revision
    match arguments.action:
        case "freeze":
            event = ledger.freeze(task, seen=seen, cause=cause)
        case "unfreeze":
            event = ledger.unfreeze(task, seen=seen, cause=cause)
        case _:
            to = carried(ledger, stage, task, arguments.version)
            event = ledger.downgrade(task, to, seen=seen, cause=cause)
    print(
        f"{task}: {event.kind.value} at {event.reached.version} by {event.by}; ledger revision "
        f"{event.revision}"
    )


def _show(ledger: Ledger, stage: str, arguments: argparse.Namespace) -> None:
    pointers = {
        task: pointer
        for task, pointer in sorted({**ledger.pointers(), **ledger.retired()}.items())
        if arguments.task in {None, task}
    }
    if arguments.json:
        print(json.dumps(snapshot(ledger, pointers), indent=2))
        return
    print(f"stage {stage}, ledger revision {ledger.revision()}")
    for task, pointer in pointers.items():
        way_back = pointer.previous.version if pointer.previous else "none"
        frozen = ", FROZEN" if pointer.frozen else ""
        live = f"{pointer.version} (way back: {way_back}{frozen})"
        print(f"\n{task}: {'nothing, it is retired' if pointer.retired else live}")
        for version, record in ledger.versions(task).items():
            print(f"  {version:<10} {record.state.value:<12} {record.by}: {record.reason}")
        for event in ledger.events(task, HISTORY):
            print(f"  {_line(event)}")
    if not pointers:
        print("nothing is active")


def _line(event: Event) -> str:
    left = event.left.version if event.left else "nothing"
    way = event.reached.version
    if left != way:
        way = f"{left} -> {way}"
    return f"#{event.revision} {event.at} {event.kind.value} {way} by {event.by}: {event.reason}"


def snapshot(ledger: Ledger, pointers: dict[str, Pointer]) -> dict[str, object]:
    """Pointers, version states and newest history for programs."""
    return {
        "revision": ledger.revision(),
        "tasks": {
            task: {
                **pointer.to_attributes(),
                "versions": {
                    version: state.value for version, state in ledger.version_states(task).items()
                },
                "history": [event.to_attributes() for event in ledger.events(task, HISTORY)],
            }
            for task, pointer in pointers.items()
        },
    }
