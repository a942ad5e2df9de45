"""Count what is priced in the templates of an installation: its toolchain and its first stage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from docs.synthesised import Json, Resource
from prompt_hub.core import aws_names

HOURS = 730
"""Hours in the month that AWS's own calculator has."""

_SCHEDULE = re.compile(r"cron\(\d+(?:/(\d+) \*| 0(?:/(\d+))?) \* \* \? \*\)")
_MEND = "; synthesise this repository's app (`npx cdk synth --output FOLDER`)."


class CostsError(ValueError):
    """The templates are not those of an installation whose costs can be counted."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The priced resources of an installation's toolchain and first stage, from its templates."""

    nat_gateways: int
    addresses: int
    endpoint_zones: int
    balancers: int
    service_tasks: int
    """At least: scaling adds to them with the calls."""
    poll_seconds: float
    """Between two looks of a task at the ledger."""
    vcpu: float
    gigabytes: float
    dashboards: int
    toolchain_dashboards: int
    """Of these: another stage brings none of them along."""
    alarms_of_a_stage: int
    """With each metric that an alarm on an expression looks at, as they are billed."""
    alarms_of_a_task: int
    watch_runs: float
    """A month, by the schedule."""
    actions: int
    """Of the pipeline, without the evaluation of each task and without approvals, which cost
    nothing."""
    builds: int
    """Actions of these that are CodeBuild's."""


def count(resources: Sequence[Resource]) -> Counts:
    """Count what is priced in the templates of the toolchain and of the first stage.

    Raises:
        CostsError: if a part of an installation is missing, or is not as this app writes it.
    """
    pipeline = _only(resources, "AWS::CodePipeline::Pipeline")
    stages = cast(list[Json], pipeline.properties["Stages"])
    deployed = {resource.stage for resource in resources}
    names = [name for stage in stages if (name := str(stage["Name"])) in deployed]
    if not names:
        raise CostsError(
            "what an installation costs cannot be counted: found no stage that its pipeline"
            f" deploys, expected one{_MEND}"
        )
    first, *others = names
    resources = [resource for resource in resources if resource.stage not in others]

    def of(kind: str) -> list[Resource]:
        return [resource for resource in resources if resource.kind == kind]

    definition = _only(resources, "AWS::ECS::TaskDefinition", stage=first)
    service = _only(resources, "AWS::ECS::Service", stage=first)
    alarms = of("AWS::CloudWatch::Alarm")
    tasks = {name for alarm in alarms if (name := _task(alarm))}
    of_tasks = [alarm for alarm in alarms if _task(alarm)]
    actions = list(_actions(stage for stage in stages if stage["Name"] not in others))
    return Counts(
        nat_gateways=len(of("AWS::EC2::NatGateway")),
        addresses=len(of("AWS::EC2::EIP")),
        endpoint_zones=sum(
            len(cast(list[object], endpoint.properties["SubnetIds"]))
            for endpoint in of("AWS::EC2::VPCEndpoint")
            if endpoint.text("VpcEndpointType") == "Interface"
        ),
        balancers=len(of("AWS::ElasticLoadBalancingV2::LoadBalancer")),
        service_tasks=_least_tasks(service, of("AWS::ApplicationAutoScaling::ScalableTarget")),
        poll_seconds=_poll_seconds(definition),
        vcpu=definition.number("Cpu") / 1024,
        gigabytes=definition.number("Memory") / 1024,
        dashboards=len(of("AWS::CloudWatch::Dashboard")),
        toolchain_dashboards=sum(not item.stage for item in of("AWS::CloudWatch::Dashboard")),
        alarms_of_a_stage=_looked_at(alarms) - _looked_at(of_tasks),
        alarms_of_a_task=_looked_at(of_tasks) // len(tasks) if tasks else 0,
        watch_runs=_runs(of("AWS::Events::Rule")),
        actions=len(actions),
        builds=actions.count("CodeBuild"),
    )


def _task(alarm: Resource) -> str:
    """Name of the user's task that an alarm belongs to; that of the drill is the stage's."""
    names = [
        item["Value"]
        for metric in (alarm.properties, *_metrics(alarm))
        for item in cast(list[dict[str, str]], metric.get("Dimensions", []))
        if item["Name"] in {aws_names.DIMENSION_TASK, aws_names.CALL_TASK_DIMENSIONS[1]}
    ]
    return names[0] if names and names[0] != aws_names.DRILL_TASK else ""


def _metrics(alarm: Resource) -> list[Json]:
    """Return the metrics that an alarm on an expression looks at; none of one on a metric."""
    queries = cast(list[Json], alarm.properties.get("Metrics", []))
    return [
        cast(Json, cast(Json, query["MetricStat"])["Metric"])
        for query in queries
        if "MetricStat" in query
    ]


def _looked_at(alarms: Sequence[Resource]) -> int:
    """Count alarms as they are billed: by the metrics that each looks at."""
    return sum(len(_metrics(alarm)) or 1 for alarm in alarms)


def _least_tasks(service: Resource, scaled: Sequence[Resource]) -> int:
    """Count the tasks that always run; where the service scales, its own number is left out."""
    return scaled[0].number("MinCapacity") if scaled else service.number("DesiredCount")


def _poll_seconds(definition: Resource) -> float:
    """Return what the service's container is told, or what it takes where it is told nothing."""
    containers = cast(list[Json], definition.properties["ContainerDefinitions"])
    told = {
        item["Name"]: item["Value"]
        for container in containers
        for item in cast(list[dict[str, str]], container.get("Environment", []))
    }
    return float(told.get(aws_names.ENV_POLL_SECONDS, aws_names.POLL_SECONDS))


def _only(resources: Iterable[Resource], kind: str, *, stage: str = "") -> Resource:
    found = [item for item in resources if item.kind == kind and item.stage == stage]
    if len(found) != 1:
        where = f"stage {stage!r}" if stage else "the toolchain"
        raise CostsError(
            f"what an installation costs cannot be counted: found {len(found)} {kind} in {where},"
            f" expected one{_MEND}"
        )
    return found[0]


def _actions(stages: Iterable[Json]) -> Iterable[str]:
    """Yield the provider of each action that is paid for, but of no task's evaluation."""
    for stage in stages:
        for action in cast(list[dict[str, Json]], stage["Actions"]):
            kind = action["ActionTypeId"]
            # Only an evaluation is told its task; the tests beside it run once an execution.
            variables = str(action["Configuration"].get("EnvironmentVariables", ""))
            evaluates = f'"{aws_names.ENV_TASK}"' in variables
            if not evaluates and kind["Category"] != "Approval":
                yield str(kind["Provider"])


def _runs(rules: Iterable[Resource]) -> float:
    """Return how often the schedule of the watch comes in a month."""
    schedules = [
        rule.text("ScheduleExpression")
        for rule in rules
        for target in cast(list[Json], rule.properties.get("Targets", []))
        if "EcsParameters" in target and "ScheduleExpression" in rule.properties
    ]
    found = [match for schedule in schedules if (match := _SCHEDULE.fullmatch(schedule))]
    if len(schedules) != 1 or len(found) != 1:
        raise CostsError(
            f"how often the score watch runs cannot be counted: found the schedules {schedules},"
            " expected one cron expression of every so many minutes or hours, or of a day, as"
            " cdk_app/score_watch.py writes them."
        )
    minutes, hours = found[0].groups()
    return HOURS * 60 / int(minutes) if minutes else HOURS / int(hours or 24)
