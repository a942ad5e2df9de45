"""`prompt-hub activate`: moves a stage's pointers to a release."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

from prompt_hub.cli.stage import (
    add_release,
    add_stage,
    ledger_of,
    now,
    release_of,
    stage_of,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.errors import LedgerConflictError, TransitionRefusedError
from prompt_hub.ledger.items import NO_WAY_BACK, Deployed
from prompt_hub.ledger.transitions import Cause
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.manifest import Release, load_manifest
from prompt_hub.release.plan import Move, Retire, Seed, Skip, StageState, Step, plan

if TYPE_CHECKING:
    from prompt_hub.ledger.table import Ledger

BY = "pipeline"
DRILL = "drill"
"""Who, in the ledger, changes the drill's own task, and why."""


@dataclass
class ActivationResult:
    """Tasks whose pointer moved, and tasks that could not be moved although they should."""

    moved: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    add_release(parser)
    add_no_watch(parser)


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Activate; exits 0 also when there was nothing to move, and says why for each task.

    A task that somebody else changed at the same moment is left for the next run; the others are
    moved, and the exit code says that it is not all done.
    """
    stage = stage_of(arguments)
    ledger = ledger_of(stage)
    if put_back(stage):
        print("an earlier rollback drill was broken off; it is put back")
    done = _to_release(ledger, release_of(arguments))
    if not arguments.no_watch:
        measure_now(stage, done.moved)
    return ExitCode.UNEXPECTED if done.failed else ExitCode.OK


# --- A release ---------------------------------------------------------------------------------


def _to_release(ledger: Ledger, release_id: str) -> ActivationResult:
    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.repository.reader import PromptRepository

    repository = PromptRepository.from_environment()
    results = results_from_environment(repository.root)
    release = load_manifest(results, release_id)
    ledger.deploy(
        Deployed(
            release=release.reference,
            commit=release.commit,
            carries=release.carries(),
            at=now(),
        ),
        by=BY,
    )
    return execute(ledger, release, plan(release, _state(ledger, release)))


def put_back(stage: str) -> bool:
    """Undo what a rollback drill left in the ledger of `stage`; says whether there was anything."""
    from prompt_hub.ledger.drill import DrillLedger

    cause = Cause(by=DRILL, reason="the drill is over", at=now(), code=DRILL)
    return DrillLedger.connect(aws_names.ledger_table(stage)).put_back(cause)


def execute(ledger: Ledger, release: Release, steps: Iterable[Step]) -> ActivationResult:
    """Do every step, each on its own: one task's trouble holds up no other."""
    done = ActivationResult()
    for step in steps:
        try:
            if _take(ledger, release, step):
                done.moved.append(step.task)
        except (LedgerConflictError, TransitionRefusedError) as error:
            print(f"{step.task}: not moved, {error}; run it again")
            done.failed.append(step.task)
    return done


def _state(ledger: Ledger, release: Release) -> StageState:
    return StageState(
        pointers=ledger.pointers(),
        retired=ledger.retired(),
        versions={task: ledger.versions(task) for task in release.tasks},
        models=_models(release),
    )


def _models(release: Release) -> dict[str, str]:
    aliases = ModelAliases.from_environment()
    wanted = {version.model.alias for task in release.tasks.values() for version in task.versions}
    identities = {}
    for alias in wanted:
        try:
            identities[alias] = aliases.resolve(alias).identity
        except PromptHubError:
            # The plan says for which task this matters.
            continue
    return identities


def _take(ledger: Ledger, release: Release, step: Step) -> bool:
    """Do one step, say it in one line; returns whether a pointer moved."""
    cause = Cause(by=BY, reason=f"release {release.release}", at=now())
    match step:
        case Skip():
            print(f"{step.task}: left alone, {step.reason}")
            return False
        case Retire():
            event = ledger.retire(step.task, seen=step.seen, release=release.reference, cause=cause)
            print(
                f"{step.task}: {step.left.version} is retired, git has no version of it released; "
                f"ledger revision {event.revision}"
            )
            return False
        case Seed():
            event = ledger.seed(
                step.task, step.to, previous=step.previous, release=release.reference, cause=cause
            )
            way_back = step.previous.version if step.previous else "none"
            print(
                f"{step.task}: {step.to.version} is active, the first here (way back: {way_back}); "
                f"ledger revision {event.revision}"
            )
            return True
        case Move():
            _move(ledger, release, step, cause)
            return True
        case _:
            assert_never(step)


def _move(ledger: Ledger, release: Release, step: Move, cause: Cause) -> None:
    lost = step.no_way_back
    event = ledger.activate(
        step.task,
        step.to,
        seen=step.seen,
        release=release.reference,
        cause=cause if lost is None else replace(cause, evidence={NO_WAY_BACK: asdict(lost)}),
        keep_way_back=lost is None,
    )
    print(
        f"{step.task}: {step.left.version} -> {step.to.version}"
        f"{f' (no way back: {lost.reason})' if lost else ''}; ledger revision {event.revision}"
    )


# --- The score watch ---------------------------------------------------------------------------


def add_no_watch(parser: argparse.ArgumentParser) -> None:
    """Add `--no-watch`."""
    parser.add_argument(
        "--no-watch", action="store_true", help="do not measure moved tasks at once"
    )


def measure_now(stage: str, tasks: list[str]) -> None:
    """Start one run of the score watch in the stage: `tasks` are due, for their pointers moved.

    One and not one for each: they would ask the same models at once, each as if it were alone.
    """
    if not tasks:
        return
    import boto3

    from prompt_hub.release.ecs_task import run

    run(boto3.client("ecs"), stage, ["prompt-hub", "watch", "--due"])
    for task in tasks:
        print(f"{task}: the score watch measures it now")
