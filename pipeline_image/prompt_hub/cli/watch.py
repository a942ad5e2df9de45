"""`prompt-hub watch`: rounds of the score watch, here or in the stage."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from prompt_hub.cli.stage import (
    add_stage,
    ledger_of,
    require_known,
    stage_of,
    start_in_stage,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    from prompt_hub.monitoring.watch import ScoreWatch


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", nargs="?", help="the task whose active version is measured")
    parser.add_argument(
        "--due", action="store_true", help="measure every task that is due, one after the other"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="measure the way back of the task beside it, whatever its score",
    )
    add_stage(parser)
    parser.add_argument(
        "--now", action="store_true", help="from outside: start the round as a task in the stage"
    )
    parser.add_argument(
        "--wait", action="store_true", help="with --now: wait for it and end with its exit code"
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Measure and publish; exit 3, with nothing published, when there is no score.

    Where nothing is active, or the day's calls are used, that is said and is no failure.

    With `--due` one task's failure holds up no other; the exit code is the worst of all.
    """
    if arguments.due is (arguments.task is not None):
        raise PromptHubError(
            "what to measure is not clear.", hint="Name one task, or say --due and no task."
        )
    if arguments.due and arguments.compare:
        raise PromptHubError("--compare is for one task.", hint="Name the task, without --due.")
    stage = stage_of(arguments)
    if arguments.now:
        if arguments.task is not None:
            require_known(ledger_of(stage), arguments.task)
        what = ["--due"] if arguments.due else [arguments.task]
        if arguments.compare:
            what.append("--compare")
        return _outside(stage, what, wait_for_it=arguments.wait)
    return asyncio.run(_inside(stage, arguments.task, compare=arguments.compare))


async def _inside(stage: str, task: str | None, *, compare: bool) -> ExitCode:
    async with connected_watch(stage) as watch:
        if task is None:
            return await watch.measure_due()
        return await watch.measure(task, compare=compare)


@asynccontextmanager
async def connected_watch(stage: str) -> AsyncIterator[ScoreWatch]:
    """Make the score watch of `stage` from the environment, as its containers have it."""
    import boto3

    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.ledger.rounds import WatchRounds
    from prompt_hub.ledger.stage_session import table_of
    from prompt_hub.llm.client import ModelClient
    from prompt_hub.llm.config import ModelAliases
    from prompt_hub.monitoring.round_event import ask_for_rollback, connect
    from prompt_hub.monitoring.watch import ScoreWatch
    from prompt_hub.release.manifest import load
    from prompt_hub.repository.reader import PromptRepository

    repository = PromptRepository.from_environment()
    async with ModelClient(ModelAliases.from_environment()) as caller:
        yield ScoreWatch(
            stage=stage,
            repository=repository,
            release=load(repository.root),
            ledger=ledger_of(stage),
            rounds=WatchRounds.connect(table_of(stage)),
            results=results_from_environment(repository.root),
            caller=caller,
            cloudwatch=boto3.client("cloudwatch"),
            ask_for_rollback=partial(ask_for_rollback, connect(), stage),
        )


def _outside(stage: str, arguments: list[str], *, wait_for_it: bool) -> ExitCode:
    what = "what is due" if arguments == ["--due"] else arguments[0]
    wait = start_in_stage(
        stage,
        ("watch", *arguments),
        role=aws_names.watch_role(stage),
        what=f"{what}: the score watch",
    )
    if not wait_for_it:
        return ExitCode.OK
    code = wait()
    print(f"{what}: the score watch ended with exit code {code}")
    task = "" if arguments == ["--due"] else f" {what}"
    print(f"what is active now, and why: prompt-hub ledger show{task} --stage {stage}")
    return ExitCode(code) if code in set(ExitCode) else ExitCode.UNEXPECTED
