"""`prompt-hub run` where a stage answers the file: drops it, follows the run, brings the output."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from prompt_hub.batch.announcement import in_words as describe_run
from prompt_hub.batch.bucket_objects import (
    SCHEME,
    BucketObjects,
    bucket_of,
    stage_bucket,
)
from prompt_hub.batch.executions import execution_end, failed_execution
from prompt_hub.batch.forecast import in_words
from prompt_hub.batch.local_run import manifest_beside
from prompt_hub.batch.merge import OUT
from prompt_hub.batch.output_summary import file_as_read
from prompt_hub.batch.planning import name_run
from prompt_hub.batch.run_manifest import MANIFEST, RunManifest, read_manifest
from prompt_hub.batch.run_plan import (
    REFUSED_SHARD,
    RunPlan,
    execution_of,
    read_plan,
    refusal_of,
)
from prompt_hub.batch.table_output import table_beside
from prompt_hub.cli.progress import say
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count

POLL_SECONDS = 5.0
POLLS_UNTIL_HINT = 24
"""So many without a plan are worth a hint: a container starts within two minutes."""
POLLS_BETWEEN_EXECUTION_CHECKS = 6
"""Whether the run's execution has failed is asked less often than what it has stored."""
MOST_POLLS = 900
"""So many without an execution are the end: EventBridge gives a file up after an hour."""


def run_remotely(
    task: str, source: str, output: Path, stage: str | None, *, version: str | None = None
) -> ExitCode:
    """Answer a file in a stage; BLOCKED if records failed, or the file is refused.

    Args:
        task: the task.
        source: `s3://BUCKET/incoming/TASK/NAME`, dropped before; or a file, to be dropped now.
        output: where the JSON lines go.
        stage: whose bucket a file is dropped into, and in whose account the bucket is.
        version: of the file in its bucket; without one the newest.
    """
    objects, key, dropped = _dropped(task, source, stage)
    address = f"{objects.address}/{key}"
    version = version or dropped or objects.version_of(key)
    if version is None:
        raise PromptHubError(f"there is no file {address}.")
    run = name_run(key, version)
    say(f"{address}: run {run}")
    # The command of before would drop its file once more, and all of it would be asked again; the
    # address alone is that of whatever is dropped there next.
    of_stage = ["--stage", stage] if stage else []
    command = ["prompt-hub", "run", task, address, str(output), "--version-id", version, *of_stage]
    say(f"to follow it again: {shlex.join(command)}")
    manifest = _wait(objects, task, run, lambda: _find_failed(objects, key, version, stage), stage)
    _bring(objects, manifest, output)
    print(f"{describe_run(manifest)}: {output}")
    return ExitCode.BLOCKED if manifest.failed else ExitCode.OK


def _dropped(task: str, source: str, stage: str | None) -> tuple[BucketObjects, str, str | None]:
    """Return bucket and key of a file, and its version if it is here: then it is dropped."""
    if source.startswith(SCHEME):
        bucket, _, key = source.removeprefix(SCHEME).partition("/")
        if not key.startswith(f"{aws_names.INCOMING}{task}/"):
            raise PromptHubError(
                f"{source} is no dropped file of {task}.",
                hint=f"Write {SCHEME}BUCKET/{aws_names.INCOMING}{task}/NAME.",
            )
        return bucket_of(bucket, stage), key, None
    assert stage is not None
    path, key = Path(source), f"{aws_names.INCOMING}{task}/{Path(source).name}"
    objects = stage_bucket(stage)
    return objects, key, objects.drop(key, path)


def _find_failed(objects: BucketObjects, key: str, version: str, stage: str | None) -> str | None:
    return failed_execution(objects.address.removeprefix(SCHEME), key, version, stage)


def _wait(
    objects: BucketObjects,
    task: str,
    run: str,
    find_failed: Callable[[], str | None],
    stage: str | None,
) -> RunManifest:
    """Wait for the end of a run, and say how far it is; raises `PromptHubError` if it failed.

    `find_failed` looks for an execution that has failed before it could say that it has this run.
    """
    plan: RunPlan | None = None
    execution: str | None = None
    finished, polls = -1, 0
    while (manifest := read_manifest(objects, task, run)) is None:
        if plan is None and (refusal := refusal_of(objects, task, run)):
            raise PromptHubError(f"refused: {refusal}", exit_code=ExitCode.BLOCKED)
        if plan is None and (plan := read_plan(objects, task, run)):
            shards = count(plan.shards, "shard")
            say(f"{plan.task} {plan.version}: {count(plan.records, 'record')} in {shards}")
            say(f"expected: {in_words(plan.forecast)}")
        if plan is not None:
            out = sum(1 for _ in objects.keys(aws_names.run_key(task, run, f"{OUT}/")))
            if out != finished:
                say(f"  {out:,} of {count(plan.shards, 'shard')} finished")
            finished = out
        execution = execution or execution_of(objects, task, run)
        if polls % POLLS_BETWEEN_EXECUTION_CHECKS == 0:
            # One that failed before its first container ran has not said that the run is its own.
            suspect = execution or (find_failed() if plan is None else None)
            if suspect is not None:
                shard_refusal = partial(refusal_of, objects, task, run, REFUSED_SHARD)
                _require_alive(suspect, stage, shard_refusal)
        if execution is None and plan is None and polls >= MOST_POLLS:
            raise PromptHubError(
                f"nothing has begun run {run} of {task} for more than an hour.",
                hint="Look at the executions of the stage's state machine, or drop the file again.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        polls += 1
        if plan is None and polls == POLLS_UNTIL_HINT:
            say("no plan yet: look at the executions of the stage's state machine of records")
        time.sleep(POLL_SECONDS)
    return manifest


def _require_alive(
    execution: str, stage: str | None, find_shard_refusal: Callable[[datetime | None], str]
) -> None:
    if (end := execution_end(execution, stage)) is None:
        return
    status, error, redriven = end
    if error == aws_names.NOT_PLANNED:
        raise PromptHubError(
            f"the file was not planned, its container ended each time, and nothing was asked:"
            f" {execution}.",
            hint="The log of the stage's service says why. When that is mended, drop the file"
            " again.",
            exit_code=ExitCode.NOT_MEASURED,
        )
    if refusal := find_shard_refusal(redriven):
        raise PromptHubError(
            f"the run has ended as {status}: {execution}. {refusal}", exit_code=ExitCode.BLOCKED
        )
    raise PromptHubError(
        f"the run has ended as {status}{f' ({error})' if error else ''}: {execution}.",
        hint="What was answered is kept. Have it go on (docs/operations.md, A file of records that"
        " failed), then follow it again by the command that was said above.",
        exit_code=ExitCode.NOT_MEASURED,
    )


def _bring(objects: BucketObjects, manifest: RunManifest, output: Path) -> None:
    for each in manifest.outputs:
        path = output if each.format == "jsonl" else table_beside(output)
        key = each.uri.removeprefix(f"{objects.address}/")
        if not objects.fetch(key, path) or file_as_read(path, each.uri).sha256 != each.sha256:
            raise PromptHubError(
                f"{each.uri} is not what its manifest says.",
                hint="Another program has written it; drop the file once more.",
                exit_code=ExitCode.BLOCKED,
            )
    objects.fetch(aws_names.run_key(manifest.task, manifest.run, MANIFEST), manifest_beside(output))
