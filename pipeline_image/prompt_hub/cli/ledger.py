"""`prompt-hub ledger`: what is live and how it came about, and what people do about it by hand."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Literal, assert_never

from prompt_hub.cli.activate import add_no_watch, measure_now
from prompt_hub.cli.ledger_moves import SAMPLES_READ, await_served, last_score, preview
from prompt_hub.cli.options import add_signature
from prompt_hub.cli.stage import (
    add_stage,
    ledger_of,
    now_after,
    require_known,
    stage_of,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.errors import TakenOutError
from prompt_hub.ledger.items import BY_HAND, VersionRef
from prompt_hub.ledger.messages import SIGNED
from prompt_hub.ledger.transitions import Cause, activate, downgrade
from prompt_hub.promotion.states import NAMED, Decision, TransitionContext

if TYPE_CHECKING:
    from prompt_hub.ledger.items import Event, Pointer
    from prompt_hub.ledger.table import Ledger
    from prompt_hub.ledger.transitions import TaskState
    from prompt_hub.release.service_client import Client

HISTORY = 10
_Change = Literal["freeze", "unfreeze", "downgrade", "activate"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True)
    show = actions.add_parser("show", help="what is active, and the newest scores and history")
    add_stage(show)
    show.add_argument("task", nargs="?", help="one task only")
    show.add_argument("--json", action="store_true", help="for programs")
    changes: tuple[tuple[_Change, str], ...] = (
        ("freeze", "keep releases away from a task"),
        ("unfreeze", "let releases move a task again"),
        ("downgrade", "go to an older version; what was active comes back by `activate` only"),
        ("activate", "go to any version that the running image carries, be it quarantined"),
    )
    for name, summary in changes:
        action = actions.add_parser(name, help=summary)
        action.add_argument("task")
        add_stage(action)
        if name in ("downgrade", "activate"):
            action.add_argument("--to", required=True, metavar="VERSION")
            action.add_argument(
                "--dry-run", action="store_true", help="say what it would do, and do nothing"
            )
            action.add_argument(
                "--wait", metavar="URL", help="until the service at this address serves it"
            )
        add_signature(action)
        if name == "activate":
            add_no_watch(action)


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Show or change the ledger; a change needs a person and a reason."""
    stage = stage_of(arguments)
    ledger = ledger_of(stage)
    if arguments.task is not None:
        require_known(ledger, arguments.task)
    if arguments.action == "show":
        _show(ledger, stage, arguments)
    else:
        try:
            _change(ledger, stage, arguments)
        except TakenOutError as error:
            raise PromptHubError(
                f"refused: {error}.",
                hint=f"It comes back by: prompt-hub ledger activate {arguments.task}"
                f" --stage {stage} --to {arguments.to} {SIGNED}",
                exit_code=ExitCode.BLOCKED,
            ) from None
    return ExitCode.OK


def _change(ledger: Ledger, stage: str, arguments: argparse.Namespace) -> None:
    task: str = arguments.task
    pointer = _pointer(ledger, stage, arguments)
    _require_signature(arguments)
    cause = Cause(
        by=arguments.person, reason=arguments.reason, at=now_after(pointer.at), code=BY_HAND
    )
    seen = pointer.revision
    action: _Change = arguments.action
    if action in ("downgrade", "activate"):
        client = _client(arguments.wait)
        to = _carried(ledger, stage, task, arguments.to)
        print(*preview(ledger, pointer, to), sep="\n")
        if arguments.dry_run:
            _would(ledger.state(task), action, to, pointer, cause)
            print("it would be done; nothing was changed (--dry-run)")
            return
    match action:
        case "freeze":
            event = ledger.freeze(task, seen=seen, cause=cause)
        case "unfreeze":
            event = ledger.unfreeze(task, seen=seen, cause=cause)
        case "downgrade":
            event = ledger.downgrade(task, to, seen=seen, cause=cause)
        case "activate":
            event = ledger.activate(
                task,
                to,
                seen=None if pointer.retired else seen,
                release=pointer.release,
                cause=cause,
                override=True,
            )
        case _:
            assert_never(action)
    print(
        f"{task}: {event.kind.value} {_way(event)} by {event.by}; ledger revision {event.revision}"
    )
    if action == "activate":
        print(f"{task}: the rollback pages people from now on instead of moving it")
        if not arguments.no_watch:
            measure_now(stage, [task])
    if action in ("downgrade", "activate") and client is not None:
        seconds = await_served(client, task, arguments.to)
        print(f"{task}: {client.url} answers with {arguments.to}, {seconds:.1f} s after the move")


def _pointer(ledger: Ledger, stage: str, arguments: argparse.Namespace) -> Pointer:
    """Return the pointer that is changed, a retired one where no release may bring `--to` back.

    Raises `PromptHubError` where nothing is active and a release may.
    """
    state = ledger.state(arguments.task)
    if state.live is not None:
        return state.live
    known = state.versions.get(arguments.to) if arguments.action == "activate" else None
    if state.pointer is None or known is None or not known.state.taken_out:
        raise PromptHubError(
            f"no version of {state.task} is active in {stage}.",
            hint="Release one: the first pointer of a task, and of a retired one, comes from git.",
            exit_code=ExitCode.BLOCKED,
        )
    return state.pointer


def _client(url: str | None) -> Client | None:
    """Return a client of the service that is waited for; a wrong address is told before a move."""
    if url is None:
        return None
    from prompt_hub.release.service_client import Client

    return Client(url, timeout=10, token=os.environ.get(aws_names.ENV_TOKEN))


def _would(
    state: TaskState, action: _Change, to: VersionRef, pointer: Pointer, cause: Cause
) -> None:
    """Raise `TransitionRefusedError` where the ledger would refuse the move."""
    if action == "downgrade":
        downgrade(state, to, cause=cause)
    else:
        activate(state, to, release=pointer.release, cause=cause, override=True)


def _require_signature(arguments: argparse.Namespace) -> None:
    """Raise `PromptHubError` unless somebody says why, as for a move in git."""
    decision = Decision(arguments.person, arguments.reason)
    lacking = NAMED.lacks(TransitionContext(version="", decision=decision))
    if lacking is not None:
        raise PromptHubError(
            f"'{arguments.action}' needs {NAMED.needs}, but {lacking}.",
            hint=NAMED.hint,
            exit_code=ExitCode.BLOCKED,
        )


def _carried(ledger: Ledger, stage: str, task: str, version: str) -> VersionRef:
    """Return the version of `task` in the running image.

    Raises `PromptHubError` if it is not there.
    """
    deployed = ledger.deployed()
    versions = deployed.carries.get(task, {}) if deployed else {}
    if version not in versions:
        raise PromptHubError(
            f"the image that runs in {stage} does not carry {task} {version} "
            f"(it has: {', '.join(versions) or 'none'}).",
            hint=_brought_back(stage, task, version) if version in ledger.versions(task) else "",
            exit_code=ExitCode.BLOCKED,
        )
    return VersionRef(version=version, sha256=versions[version])


def _brought_back(stage: str, task: str, version: str) -> str:
    """Say how a version comes back that the stage knows and its image lacks.

    That is so minutes after a rollback: what git has quarantined, the next image leaves out.
    """
    return (
        "An image lacks what git has quarantined, and all but the newest of what is archived."
        " Release it in git first: git pull;"
        f" prompt-hub promote downgrade {task} --to {version} --override"
        f" {SIGNED}; commit, push and start the pipeline. When that release runs in {stage} and has"
        " not moved the task, give this command again."
    )


def _show(ledger: Ledger, stage: str, arguments: argparse.Namespace) -> None:
    pointers = {
        task: pointer
        for task, pointer in sorted(ledger.every_pointer().items())
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
        samples = ledger.samples(task, SAMPLES_READ)
        for version, record in ledger.versions(task).items():
            print(f"  {version:<10} {record.state.value:<12} {record.by}: {record.reason}")
            if score := last_score(samples, version):
                print(f"  {'':<10} {score}")
        for event in ledger.events(task, HISTORY):
            print(f"  {_line(event)}")
    if not pointers:
        print("nothing is active")


def _line(event: Event) -> str:
    what = f"{event.kind.value} {_way(event)} by {event.by}"
    return f"#{event.revision} {event.at} {what}: {event.reason}"


def _way(event: Event) -> str:
    left = event.left.version if event.left else "nothing"
    reached = event.reached.version
    return reached if left == reached else f"{left} -> {reached}"


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
