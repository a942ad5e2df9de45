"""`prompt-hub records`: a file of records in parts, each of which may run anywhere.

`plan` cuts it into shards, `answer` answers one of them, `merge` makes the output. A state machine
runs them in containers; on one machine a folder is the store.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from prompt_hub.batch.active_version import active_version
from prompt_hub.batch.announcement import announce
from prompt_hub.batch.announcement import in_words as describe_run
from prompt_hub.batch.bucket_objects import objects_from
from prompt_hub.batch.following import local_backend
from prompt_hub.batch.forecast import in_words
from prompt_hub.batch.merge import merge
from prompt_hub.batch.objects import FolderObjects, Objects
from prompt_hub.batch.other_runs import OtherRuns
from prompt_hub.batch.planning import Drop, plan_run
from prompt_hub.batch.run_manifest import read_manifest
from prompt_hub.batch.run_plan import RunPlan, require_plan
from prompt_hub.batch.runner import BatchStats, known_example
from prompt_hub.batch.shard_run import (
    answer_shard,
    divided,
    is_final,
    require_planned,
    tell_refused,
)
from prompt_hub.cli.options import positive
from prompt_hub.cli.progress import Progress, say
from prompt_hub.cli.stage import named, translate_aws_errors
from prompt_hub.core import aws_names
from prompt_hub.core.concurrency import cancel_on_sigterm
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.reader import PromptRepository

SHARD_RECORDS = 10_000
CHILDREN = 10
PATIENCE_SECONDS = 900


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True)
    plan = actions.add_parser("plan", help="count and predict, and cut into shards")
    plan.add_argument(
        "--key", required=True, help=f"key of the file: {aws_names.INCOMING}TASK/NAME"
    )
    plan.add_argument("--version-id", metavar="ID", help="which version of the object")
    plan.add_argument("--run", help="name of the run (default: made from key and version)")
    plan.add_argument(
        "--execution", metavar="ARN", help="refuse a run that another execution makes already"
    )
    plan.add_argument(
        "--children",
        type=positive,
        default=CHILDREN,
        metavar="N",
        help=f"processes that may answer at once ({CHILDREN})",
    )
    plan.add_argument(
        "--shard-records",
        type=positive,
        default=SHARD_RECORDS,
        metavar="N",
        help=f"records of a shard ({SHARD_RECORDS})",
    )
    answer = actions.add_parser("answer", help="answer the records of one shard")
    _add_run(answer)
    answer.add_argument("--shard", required=True, type=int, metavar="N", help="its number, from 0")
    answer.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for a provider that does not answer ({PATIENCE_SECONDS})",
    )
    merge = actions.add_parser("merge", help="make the output of all shards, and the manifest")
    _add_run(merge)
    for action in (plan, answer, merge):
        action.add_argument(
            "--store",
            default=_store_of_environment(),
            metavar="ADDRESS",
            help=f"s3://BUCKET or a folder; s3://${aws_names.ENV_RECORDS_BUCKET} by default",
        )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Do one part; NOT_MEASURED says to run it again later, BLOCKED that this would not help."""
    address = named(arguments.store, "--store", aws_names.ENV_RECORDS_BUCKET)
    objects = objects_from(address)
    with TemporaryDirectory(prefix="prompt-hub-records-") as name:
        match arguments.action:
            case "plan":
                return _plan(arguments, objects, Path(name))
            case "answer":
                return _answer(arguments, objects, Path(name))
            case _:
                return _merge(arguments, objects, Path(name))


def _plan(arguments: argparse.Namespace, objects: Objects, folder: Path) -> ExitCode:
    drop = Drop(
        key=arguments.key,
        version_id=arguments.version_id,
        stage=os.environ.get(aws_names.ENV_STAGE),
        children=arguments.children,
        shard_records=arguments.shard_records,
        execution=arguments.execution,
    )
    repository = PromptRepository.from_environment()
    aliases = ModelAliases.from_environment()
    plan = plan_run(objects, repository, aliases, drop, arguments.run, folder)
    blank = f", {count(plan.blank, 'row')} without a value left out" if plan.blank else ""
    print(
        f"run {plan.run} of {plan.task} {plan.version}: {count(plan.records, 'record')}{blank} in"
        f" {count(plan.shards, 'shard')}, {plan.children} at once\n"
        f"expected: {in_words(plan.forecast)}"
    )
    return ExitCode.OK


def _answer(arguments: argparse.Namespace, objects: Objects, folder: Path) -> ExitCode:
    plan = require_plan(objects, arguments.task, arguments.run)
    if is_final(objects, plan, arguments.shard):
        print(f"shard {arguments.shard} was answered before")
        return ExitCode.OK
    try:
        stats = asyncio.run(_answer_shard(arguments, objects, plan, folder))
    except asyncio.CancelledError:
        say("stopped: what was answered is stored, and the same command goes on")
        return ExitCode.NOT_MEASURED
    except PromptHubError as error:
        if error.exit_code is ExitCode.BLOCKED:
            tell_refused(objects, plan, arguments.shard, error)
        raise
    if stats.unanswered:
        say(f"{count(stats.unanswered, 'record')} without an answer: the same command asks again")
        return ExitCode.NOT_MEASURED
    print(f"shard {arguments.shard}: {stats.answered:,} answered, {stats.failed:,} failed")
    return ExitCode.OK


async def _answer_shard(
    arguments: argparse.Namespace, objects: Objects, plan: RunPlan, folder: Path
) -> BatchStats:
    cancel_on_sigterm()
    repository = PromptRepository.from_environment()
    aliases = ModelAliases.from_environment()
    metadata = repository.metadata(plan.task)
    if plan.versions == "pin":
        prompt = require_planned(repository, aliases, plan)
    else:
        prompt, _ = active_version(repository, plan.task)
    aliases = divided(aliases, plan.children)
    others = OtherRuns(objects, prompt.model.alias, plan.run, plan.children)
    async with ModelClient(aliases) as client, others.sharing(client.keep_to, say):
        return await answer_shard(
            objects,
            plan,
            arguments.shard,
            backend=local_backend(repository, prompt, client, plan.versions),
            contract=prompt.input,
            records=metadata.records,
            example=partial(known_example, repository, plan.task, prompt.input),
            concurrency=client.concurrency(prompt),
            patience=arguments.patience,
            folder=folder,
            say=say,
            progress=Progress(),
        )


def _merge(arguments: argparse.Namespace, objects: Objects, folder: Path) -> ExitCode:
    manifest = read_manifest(objects, arguments.task, arguments.run)
    if manifest is None:
        plan = require_plan(objects, arguments.task, arguments.run)
        manifest = merge(objects, plan, folder)
    if not isinstance(objects, FolderObjects):
        announce(objects, manifest, folder)
    print("\n".join([describe_run(manifest), *(output.uri for output in manifest.outputs)]))
    return ExitCode.OK


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True)
    parser.add_argument("--run", required=True, help="name of the run, as its plan has it")


def _store_of_environment() -> str | None:
    bucket = os.environ.get(aws_names.ENV_RECORDS_BUCKET)
    return f"s3://{bucket}" if bucket else None
