"""What AWS says of a stage and of the pipeline; reads only. docs/console.md has the permissions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.results import BucketResults, ReadableResults
from prompt_hub.ledger.items import Event, Pointer, ScoreSample, VersionRecord
from prompt_hub.ledger.table import Ledger
from prompt_hub.promotion.promoter import Promotion, find_promotion
from prompt_hub.reporting.words import commit_words

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_cloudwatch.literals import StateValueType
    from mypy_boto3_cloudwatch.type_defs import (
        DimensionTypeDef,
        MetricAlarmTypeDef,
        MetricDataQueryTypeDef,
        MetricStatTypeDef,
        MetricTypeDef,
    )
    from mypy_boto3_codepipeline.type_defs import (
        ActionExecutionDetailTypeDef,
        PipelineExecutionSummaryTypeDef,
    )

EXECUTIONS = 15
LOG_LINES = 400
_TOLD: tuple[StateValueType, ...] = ("ALARM", "INSUFFICIENT_DATA")


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm that people are told of."""

    name: str
    reason: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Recent:
    """What the score watch and the ledger said of a task lately, the oldest first."""

    samples: tuple[ScoreSample, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Execution:
    """An execution of the pipeline."""

    id: str
    status: str
    started: datetime
    revision: str
    """The commit and its message, as far as the pipeline says it."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What one action of an execution did."""

    id: str
    stage: str
    name: str
    category: str
    status: str
    started: datetime
    updated: datetime
    summary: str
    external: str
    """What the service that did it calls it, such as the id of a build."""

    @property
    def waits_for_a_person(self) -> bool:
        """Whether somebody has to approve it."""
        return self.category == "Approval" and self.status == "InProgress"

    @property
    def has_log(self) -> bool:
        """Whether it was a build, which writes a log."""
        return self.category in {"Build", "Test"} and ":" in self.external

    def seconds(self, now: datetime) -> float:
        """How long it took, or has run until `now`."""
        end = now if self.status == "InProgress" else self.updated
        return max((end - self.started).total_seconds(), 0.0)


class StageReader:
    """Asks AWS, or whatever `AWS_ENDPOINT_URL` names, each time anew; raises what that raises."""

    def __init__(
        self, stage: str, *, here: Session, there: Session, table: str, bucket: str | None
    ) -> None:
        """Ask about `stage`, which lives where `there` makes clients; the pipeline, `here`."""
        from botocore.config import Config

        # People look at the page meanwhile: they would rather read that a source is silent.
        config = Config(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2})
        self.stage = stage
        self._ledger = Ledger.connect(table, session=there)
        self._metrics = there.client("cloudwatch", config=config)
        self._pipelines = here.client("codepipeline", config=config)
        self._builds = here.client("codebuild", config=config)
        self._logs = here.client("logs", config=config)
        self._objects = here.client("s3", config=config)
        self._identity = here.client("sts", config=config)
        self._bucket, self._region = bucket, here.region_name or ""

    def results(self) -> ReadableResults:
        """Return the results bucket: the one that is named, or that of the account that asks."""
        if self._bucket is None:
            account = self._identity.get_caller_identity()["Account"]
            self._bucket = aws_names.results_bucket(account, self._region)
        return BucketResults(self._objects, self._bucket)

    # --- the stage -----------------------------------------------------------------------------

    def pointers(self) -> dict[str, Pointer]:
        """Return every pointer, retired ones too, by task: one question for all tasks."""
        return self._ledger.every_pointer()

    def recent(self, task: str, samples: int, events: int | None) -> Recent:
        """Return so many of the newest score samples and changes of a task."""
        return Recent(
            samples=self._ledger.samples(task, samples)[::-1],
            events=self._ledger.events(task, events)[::-1],
        )

    def versions(self, task: str) -> dict[str, VersionRecord]:
        """Every version of a task that the stage has known."""
        return self._ledger.versions(task)

    def alarms(self) -> tuple[Alarm, ...]:
        """Return the alarms of the stage that people are told of: red ones, and silent ones."""
        found = self._metrics.get_paginator("describe_alarms")
        pages = (
            page
            for state in _TOLD
            for page in found.paginate(
                AlarmNamePrefix=aws_names.named(self.stage, ""), StateValue=state
            )
        )
        return tuple(
            Alarm(
                name=alarm["AlarmName"],
                reason=alarm.get("StateReason", ""),
                since=alarm["StateUpdatedTimestamp"],
            )
            for page in pages
            for alarm in page["MetricAlarms"]
            if self._is_own(alarm) and (alarm["StateValue"] == "ALARM" or _has_fallen_silent(alarm))
        )

    def _is_own(self, alarm: MetricAlarmTypeDef) -> bool:
        """Tell this stage's alarms from those of one whose name begins like it: `dev`, `dev-eu`.

        That of a drill, which is meant to ring, tells nobody and is nobody's.
        """
        people = f":{aws_names.notification_topic(self.stage)}"
        told = (*alarm.get("AlarmActions", ()), *alarm.get("InsufficientDataActions", ()))
        return any(action.endswith(people) for action in told)

    def spent(self, versions: Iterable[tuple[str, str]]) -> dict[str, float]:
        """Return US dollars of today's calls (UTC) by task, of these tasks and versions."""
        asked = dict(enumerate(versions))
        queries: list[MetricDataQueryTypeDef] = []
        for number, of in asked.items():
            pairs = zip(aws_names.CALL_DIMENSIONS, (self.stage, *of), strict=True)
            dimensions: list[DimensionTypeDef] = [
                {"Name": name, "Value": value} for name, value in pairs
            ]
            metric: MetricTypeDef = {
                "Namespace": aws_names.calls_namespace(),
                "MetricName": aws_names.CALL_USD,
                "Dimensions": dimensions,
            }
            stat: MetricStatTypeDef = {"Metric": metric, "Period": 3600, "Stat": "Sum"}
            queries.append({"Id": f"m{number}", "MetricStat": stat})
        if not queries:
            return {}
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        pages = self._metrics.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=midnight, EndTime=now
        )
        found: dict[str, float] = {}
        for page in pages:
            for result in page["MetricDataResults"]:
                if result["Values"]:
                    task = asked[int(result["Id"][1:])][0]
                    found[task] = found.get(task, 0.0) + sum(result["Values"])
        return found

    # --- the pipeline --------------------------------------------------------------------------

    def executions(self) -> tuple[Execution, ...]:
        """Return the newest executions, the newest first."""
        name = aws_names.pipeline()
        try:
            found = self._pipelines.list_pipeline_executions(
                pipelineName=name, maxResults=EXECUTIONS
            )["pipelineExecutionSummaries"]
        except self._pipelines.exceptions.PipelineNotFoundException:
            raise PromptHubError(
                f"there is no pipeline {name} in this account and region."
            ) from None
        return tuple(map(_execution, found))

    def actions(self, execution: str) -> tuple[Action, ...]:
        """Return what an execution has done, the oldest first; nothing of one that is not there."""
        pages = self._pipelines.get_paginator("list_action_executions").paginate(
            pipelineName=aws_names.pipeline(),
            filter={"pipelineExecutionId": execution},
            PaginationConfig={"PageSize": 100},
        )
        try:
            found = [_action(detail) for page in pages for detail in page["actionExecutionDetails"]]
        except self._pipelines.exceptions.PipelineExecutionNotFoundException:
            return ()
        return tuple(sorted(found, key=lambda action: action.started))

    def promotion(self, execution: str) -> Promotion | None:
        """Return what an execution promoted and refused; None before its Promote."""
        return find_promotion(self.results(), execution)

    def log(self, build: str) -> tuple[str, ...]:
        """Return the end of a build's log; nothing where it has written none."""
        builds = self._builds.batch_get_builds(ids=[build])["builds"]
        where = builds[0].get("logs", {}) if builds else {}
        group, stream = where.get("groupName"), where.get("streamName")
        if not group or not stream:
            return ()
        try:
            found = self._logs.get_log_events(
                logGroupName=group, logStreamName=stream, limit=LOG_LINES, startFromHead=False
            )
        except self._logs.exceptions.ResourceNotFoundException:
            return ()
        return tuple(event.get("message", "").rstrip("\r\n") for event in found["events"])


def _execution(found: PipelineExecutionSummaryTypeDef) -> Execution:
    revision = next(iter(found.get("sourceRevisions", ())), None)
    words = (
        (revision.get("revisionId", "")[:8], commit_words(revision.get("revisionSummary", "")))
        if revision
        else ()
    )
    return Execution(
        id=found.get("pipelineExecutionId", ""),
        status=found.get("status", "unknown"),
        started=found.get("startTime", datetime.fromtimestamp(0, UTC)),
        revision=" ".join(filter(None, words)),
    )


def _action(found: ActionExecutionDetailTypeDef) -> Action:
    result = found.get("output", {}).get("executionResult", {})
    started = found.get("startTime", datetime.fromtimestamp(0, UTC))
    return Action(
        id=found.get("actionExecutionId", ""),
        stage=found.get("stageName", ""),
        name=found.get("actionName", ""),
        category=found.get("input", {}).get("actionTypeId", {}).get("category", ""),
        status=found.get("status", "unknown"),
        started=started,
        updated=found.get("lastUpdateTime", started),
        summary=result.get("externalExecutionSummary", ""),
        external=result.get("externalExecutionId", ""),
    )


def _has_fallen_silent(alarm: MetricAlarmTypeDef) -> bool:
    """Tell an alarm that calls silence to people from one that has yet to hear anything."""
    new = alarm.get("StateReason", "").startswith("Unchecked")
    return bool(alarm.get("InsufficientDataActions")) and not new
