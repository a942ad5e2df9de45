"""`prompt-hub activate`: moves a stage's pointers to a release."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
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
from prompt_hub.ledger.items import NO_WAY_BACK, Deployed, Pointer
from prompt_hub.ledger.transitions import Cause
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.manifest import Release, load_manifest, not_carried
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
    parser.add_argument(
        "--earlier-stages",
        default=os.environ.get(aws_names.ENV_EARLIER_STAGES, ""),
        metavar="STAGE,STAGE",
        help="stages that the release has passed: what they have taken out is left out here; "
        f"{aws_names.ENV_EARLIER_STAGES} by default",
    )
    add_no_watch(parser)


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Activate; exits 0 also when there was nothing to move, and says why for each task.

    A task that somebody else changed at the same moment is left for the next run; the others are
    moved, and the exit code says that it is not all done.
    """
    stage = stage_of(arguments)
    ledger = ledger_of(stage)
    wanted = release_of(arguments)
    # First, for it says so where the stage was never deployed.
    release, before = note_deployed(ledger, stage)
    if put_back(stage):
        print("an earlier rollback drill was broken off; it is put back")
    if release.release != wanted:
        raise PromptHubError(
            f"stage {stage} runs the image of release {release.release}, not of {wanted}: the "
            f"ledger says {release.release}, and no pointer was moved.",
            hint="Deploy the release that is to run, then activate it: retry its whole stage.",
            exit_code=ExitCode.BLOCKED,
        )
    earlier = {name: ledger_of(name) for name in arguments.earlier_stages.split(",") if name}
    done = execute(ledger, release, plan(release, _state(ledger, release, earlier)))
    if not arguments.no_watch:
        measure_now(stage, done.moved)
    _check_carried(release, before, ledger.pointers().values())
    return ExitCode.UNEXPECTED if done.failed else ExitCode.OK


# --- A release ---------------------------------------------------------------------------------


def note_deployed(ledger: Ledger, stage: str) -> tuple[Release, Deployed | None]:
    """Write into the ledger which release the stage runs, whichever was to be activated.

    Returns it, and what the ledger said before. A retried activation may belong to an image that
    was replaced since, or to an older one that was deployed anew: only ECS knows.
    """
    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.ledger.stage_session import ecs_of
    from prompt_hub.release.ecs_task import running_release
    from prompt_hub.repository.reader import PromptRepository

    results = results_from_environment(PromptRepository.from_environment().root)
    running = running_release(ecs_of(stage), stage)
    release = load_manifest(results, running)
    before = ledger.deployed()
    if before is not None and before.release.release != running:
        print(
            f"stage {stage} runs release {running}, made at {release.reference.made_at}; the "
            f"ledger had {before.release.release}, made at {before.release.made_at}"
        )
    deployed = Deployed(
        release=release.reference, commit=release.commit, carries=release.carries(), at=now()
    )
    ledger.deploy(deployed, by=BY)
    return release, before


def _check_carried(release: Release, before: Deployed | None, pointers: Iterable[Pointer]) -> None:
    """Say what is live and not in the image; raises where an older image has replaced a newer one.

    A newer image that lacks something was made knowing it: git forbids the version.
    """
    lost = []
    for pointer in pointers:
        newest = max(pointer.release.made_at, before.release.made_at if before else "")
        for text in not_carried(release, pointer):
            print(f"WARNING: the image of release {release.release} does not carry {text}")
            if newest > release.reference.made_at:
                lost.append(text)
    if lost:
        raise PromptHubError(
            f"release {release.release} is older than what moved the pointers, and its image lacks "
            f"{', '.join(lost)}: what is missing is not served, and not rolled back to.",
            hint="Deploy a newer release, or go to a version that this image carries with "
            "prompt-hub ledger.",
            exit_code=ExitCode.BLOCKED,
        )


def put_back(stage: str) -> bool:
    """Undo what a rollback drill left in the ledger of `stage`; says whether there was anything."""
    from prompt_hub.ledger.drill import DrillLedger
    from prompt_hub.ledger.stage_session import session_of, table_of

    cause = Cause(by=DRILL, reason="the drill is over", at=now(), code=DRILL)
    ledger = DrillLedger.connect(table_of(stage), session=session_of(stage))
    return ledger.put_back(cause)


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


def _state(ledger: Ledger, release: Release, earlier: Mapping[str, Ledger]) -> StageState:
    return StageState(
        pointers=ledger.pointers(),
        retired=ledger.retired(),
        versions={task: ledger.versions(task) for task in release.tasks},
        models=_models(release),
        earlier={
            stage: {task: passed.versions(task) for task in release.tasks}
            for stage, passed in earlier.items()
        },
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
    from prompt_hub.ledger.stage_session import ecs_of
    from prompt_hub.release.ecs_task import run

    ecs, command = ecs_of(stage), ["prompt-hub", "watch", "--due"]
    run(ecs, stage, command, role=aws_names.watch_role(stage))
    for task in tasks:
        print(f"{task}: the score watch measures it now")
