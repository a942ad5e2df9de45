"""Whether the score watch and the pipeline have done something lately, and to a good end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from prompt_hub.core import aws_names
from prompt_hub.doctor.base import DEPLOY, Check, Finding, start
from prompt_hub.doctor.readers import Readers

GOOD = {"Succeeded", "InProgress"}


def _examine(readers: Readers) -> Iterator[Finding]:
    yield from _execution(readers)
    for task, pointer in readers.ledger.pointers().items():
        if task == aws_names.DRILL_TASK:
            continue
        name = aws_names.freshness_alarm(readers.stage, task)
        cloudwatch = readers.of_stage.client("cloudwatch")
        alarms = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        if not alarms:
            problem = f"There is no alarm {name}: nobody hears it when the watch falls silent."
            yield Finding(problem, "Deploy the stage again.", start())
            continue
        # For so long the task's own alarm takes silence.
        patience = timedelta(seconds=alarms[0]["Period"] * alarms[0]["EvaluationPeriods"])
        newest = next(iter(readers.ledger.samples(task, 1)), None)
        # A version that became active just now has had no round yet.
        since = max(newest.at if newest else "", pointer.at)
        if readers.now - datetime.fromisoformat(since) > patience:
            last = f"the last one is of {newest.at}" if newest else "there never was one"
            yield Finding(
                f"The score watch has had no sample of {task} for more than {patience}: {last}.",
                "Measure it now: what that says is why the schedule did not.",
                f"prompt-hub watch {task} --stage {readers.stage} --now --wait",
            )


def _execution(readers: Readers) -> Iterator[Finding]:
    newest = readers.newest_execution
    if newest is None:
        problem = f"The pipeline {aws_names.pipeline()} is not there, or has never run."
        yield Finding(problem, "Deploy it: it starts by itself.", DEPLOY)
    elif newest.status not in GOOD:
        yield Finding(
            f"The newest execution of the pipeline, {newest.id}, is {newest.status}.",
            "Mend what made its red action fail, which this names, then start an execution.",
            f"aws codepipeline list-action-executions --pipeline-name {aws_names.pipeline()}"
            f" --filter pipelineExecutionId={newest.id}",
        )


CHECK = Check("freshness", _examine, lambda: DEPLOY)
