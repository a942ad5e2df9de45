"""`prompt-hub activate`: moves a stage's pointers to a release."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.ledger.errors import LedgerConflict, TransitionRefused
from prompt_hub.ledger.items import Deployed
from prompt_hub.ledger.transitions import Cause
from prompt_hub.models.aliases import ModelAliases
from prompt_hub.release.manifest import Release, describe_promoted
from prompt_hub.release.plan import Seed, Skip, StageState, Step, plan
from prompt_hub.release.stage import (
    add_release,
    add_stage,
    explained,
    ledger_of,
    now,
    release_of,
    stage_of,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from prompt_hub.ledger.table import Ledger

BY = "pipeline"


@dataclass
class Done:
    """Tasks whose pointer moved, and tasks that could not be moved although they should."""

    moved: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    add_release(parser)
    add_no_watch(parser)


@explained()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Activate; exits 0 also when there was nothing to move, and says why for each task.

    A task that somebody else changed at the same moment is left for the next run; the others are
    moved, and the exit code says that it is not all done.
    """
    import boto3

    stage = stage_of(arguments)
    ledger = ledger_of(stage)
    done = _to_release(ledger, boto3.client("cloudwatch"), stage, release_of(arguments))
    if not arguments.no_watch:
        measure_now(stage, done.moved)
    return ExitCode.UNEXPECTED if done.failed else ExitCode.OK


# --- A release ---------------------------------------------------------------------------------


def _to_release(ledger: Ledger, cloudwatch: CloudWatchClient, stage: str, release_id: str) -> Done:
    from prompt_hub.evaluate.results import results_from_environment
    from prompt_hub.prompts.repository import PromptRepository

    repository = PromptRepository.from_environment()
    results = results_from_environment(repository.root)
    release = describe_promoted(repository, results, release_id)
    ledger.deploy(
        Deployed(
            release=release.reference,
            commit=release.commit,
            carries=release.carries(),
            at=now(),
        ),
        by=BY,
    )
    return take(ledger, release, plan(release, _state(ledger, cloudwatch, stage, release)))


def take(ledger: Ledger, release: Release, steps: Iterable[Step]) -> Done:
    """Do every step, each on its own: one task's trouble holds up no other."""
    done = Done()
    for step in steps:
        try:
            if _take(ledger, release, step):
                done.moved.append(step.task)
        except (LedgerConflict, TransitionRefused) as error:
            print(f"{step.task}: not moved, {error}; run it again")
            done.failed.append(step.task)
    return done


def _state(
    ledger: Ledger, cloudwatch: CloudWatchClient, stage: str, release: Release
) -> StageState:
    return StageState(
        pointers=ledger.pointers(),
        versions={task: ledger.versions(task) for task in release.tasks},
        alarming=_alarming(cloudwatch, stage),
        models=_models(release),
    )


def _alarming(cloudwatch: CloudWatchClient, stage: str) -> set[str]:
    prefix = names.score_alarm_prefix(stage)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, StateValue="ALARM"
    )
    return {
        alarm["AlarmName"].removeprefix(prefix) for page in pages for alarm in page["MetricAlarms"]
    }


def _models(release: Release) -> dict[str, str]:
    aliases = ModelAliases.from_environment()
    wanted = {one.model.alias for task in release.tasks.values() for one in task.versions}
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
    if isinstance(step, Skip):
        print(f"{step.task}: left alone, {step.reason}")
        return False
    cause = Cause(by=BY, reason=f"release {release.release}", at=now())
    if isinstance(step, Seed):
        event = ledger.seed(
            step.task, step.to, previous=step.previous, release=release.reference, cause=cause
        )
        way_back = step.previous.version if step.previous else "none"
        print(
            f"{step.task}: {step.to.version} is active, the first here (way back: {way_back}); "
            f"ledger revision {event.revision}"
        )
        return True
    event = ledger.activate(
        step.task,
        step.to,
        seen=step.seen,
        release=release.reference,
        cause=cause,
        keep_way_back=step.keep_way_back,
    )
    print(
        f"{step.task}: {step.left.version} -> {step.to.version}; ledger revision {event.revision}"
    )
    return True


# --- The score watch ---------------------------------------------------------------------------


def add_no_watch(parser: argparse.ArgumentParser) -> None:
    """Add `--no-watch`."""
    parser.add_argument(
        "--no-watch", action="store_true", help="do not measure moved tasks at once"
    )


def measure_now(stage: str, tasks: list[str]) -> None:
    """Start a round of the score watch for each of `tasks` in the stage."""
    if not tasks:
        return
    import boto3

    from prompt_hub.release.one_off import start

    ecs = boto3.client("ecs")
    for task in tasks:
        start(ecs, stage, ["prompt-hub", "watch", task])
        print(f"{task}: the score watch measures it now")
