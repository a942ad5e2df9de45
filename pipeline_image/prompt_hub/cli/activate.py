"""`prompt-hub activate`: moves a stage's pointers to a release."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prompt_hub.cli.stage import (
    add_release,
    add_stage,
    drill_ledger_of,
    ledger_of,
    now,
    release_of,
    stage_names,
    stage_of,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.items import Deployed, Pointer
from prompt_hub.ledger.transitions import Cause
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.activation import execute
from prompt_hub.release.manifest import Release, load_manifest, not_carried
from prompt_hub.release.plan import BY, StageState, plan

if TYPE_CHECKING:
    from prompt_hub.ledger.table import Ledger

DRILL = "drill"
"""Who, in the ledger, changes the drill's own task, and why."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    add_release(parser)
    parser.add_argument(
        "--earlier-stages",
        type=stage_names,
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
    cause = Cause(by=DRILL, reason="the drill is over", at=now(), code=DRILL)
    return drill_ledger_of(stage).put_back(cause)


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
