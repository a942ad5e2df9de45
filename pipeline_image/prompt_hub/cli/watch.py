"""`prompt-hub watch`: one round of the score watch, here or in the stage."""

from __future__ import annotations

import argparse
import asyncio

from prompt_hub.cli.stage import add_stage, ledger_of, now, stage_of, translate_aws_errors
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", help="the task whose active version is measured")
    add_stage(parser)
    parser.add_argument(
        "--now", action="store_true", help="from outside: start the round as a task in the stage"
    )
    parser.add_argument(
        "--wait", action="store_true", help="with --now: wait for it and end with its exit code"
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Measure and publish; exit 3, with nothing published, when there is no score."""
    stage = stage_of(arguments)
    if arguments.now:
        return _outside(stage, arguments.task, wait_for_it=arguments.wait)
    return asyncio.run(_inside(stage, arguments.task))


async def _inside(stage: str, task: str) -> ExitCode:
    import boto3

    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.llm.client import ModelClient
    from prompt_hub.llm.config import ModelAliases
    from prompt_hub.monitoring.metrics import publish
    from prompt_hub.monitoring.monitor import NotMeasuredError, ScoreMonitor
    from prompt_hub.monitoring.round_event import ask_for_rollback, connect
    from prompt_hub.release.manifest import load
    from prompt_hub.repository.reader import PromptRepository

    repository = PromptRepository.from_environment()
    release = load(repository.root)
    ledger = ledger_of(stage)
    pointer = ledger.pointer(task)
    if pointer is None and task in ledger.retired():
        print(f"{task}: retired in {stage}, there is nothing to measure")
        return ExitCode.OK
    if pointer is None:
        raise NotMeasuredError(f"no version of {task} is active in {stage}.")
    rollback = connect()
    async with ModelClient(ModelAliases.from_environment()) as caller:
        found = await ScoreMonitor(repository, release, caller, task).round(pointer)
    at = now()
    key = aws_names.sample_key(stage, task, at)
    # The evidence lies there before the alarm can ask for it.
    results_from_environment(repository.root).put(
        key, found.details(stage=stage, release=release.release, at=at)
    )
    ledger.add_samples(found.samples(evaluation=key, at=at))
    after = ledger.pointer(task)
    if after is None or after.active != pointer.active:
        print(f"{task}: the pointer moved meanwhile; the samples are kept, no metric is published")
        return ExitCode.OK
    # Before the metric: this is the fast way back, the alarm is the one behind it.
    ask_for_rollback(rollback, stage, task)
    publish(boto3.client("cloudwatch"), found, stage)
    print(f"{task}: published the margin {found.active.margin:+.3f} of {pointer.version}")
    if found.no_control:
        print(f"{task}: without a control, {found.no_control}")
    return ExitCode.OK


def _outside(stage: str, task: str, *, wait_for_it: bool) -> ExitCode:
    import boto3

    from prompt_hub.release.ecs_task import run, wait

    ecs = boto3.client("ecs")
    arn = run(ecs, stage, ["prompt-hub", "watch", task])
    print(f"{task}: the score watch runs in {stage} as {arn.rpartition('/')[2]}", flush=True)
    if not wait_for_it:
        return ExitCode.OK
    code = wait(ecs, stage, arn)
    print(f"{task}: the score watch ended with exit code {code}")
    return ExitCode(code) if code in set(ExitCode) else ExitCode.UNEXPECTED
