"""When a stage's score watch runs: what is due on a schedule, and a task where it is asked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app import arns, nag, permissions
from cdk_app.stage_settings import StageSettings
from cdk_app.tasks import Task
from prompt_hub.core import aws_names

_EVEN = (
    *(minutes for minutes in range(1, 60) if 60 % minutes == 0),
    *(60 * hours for hours in range(1, 25) if 24 % hours == 0),
)
"""Minutes after which a cron expression can come back again and again: they divide hour or day."""
_NAMES_A_RULE = 25
"""A pattern of EventBridge has 2,048 characters."""


def watch_schedule(
    tasks: Sequence[Task], *, stage: StageSettings, stages: Sequence[StageSettings]
) -> events.Schedule:
    """Return when the watch of `stage` runs: often enough for the task that is measured most often.

    Evenly, by the clock: an interval of a task's, counted from the epoch, always holds a run.
    Stages follow one another, so that they do not ask the same models in the same minute; all of
    them begin in the first half of an interval, to be over in the one that they measure for.
    """
    shortest = min(task.watch.every_minutes for task in tasks)
    interval = max(minutes for minutes in _EVEN if minutes <= shortest)
    hours, minutes = divmod(interval, 60)
    place = [other.name for other in stages].index(stage.name)
    start = (2 * place + 1) * min(interval, 60) // (4 * len(stages))
    if not hours:
        return events.Schedule.expression(f"cron({start}/{minutes} * * * ? *)")
    # An increment of a whole day is none.
    return events.Schedule.expression(f"cron({start} {f'0/{hours}' if hours < 24 else 0} * * ? *)")


class ScoreWatch(Construct):
    """Runs the service's own task definition with another command and role: the same image.

    One container for all tasks: each with its own would limit its rate as if it were alone.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        tasks: Sequence[Task],
        schedule: events.Schedule,
        service: ecs.FargateService,
        subnets: ec2.SubnetSelection,
    ) -> None:
        super().__init__(scope, construct_id)
        role = iam.Role(
            self,
            "EventsRole",
            description=f"Starts the score watch of {stage}",
            assumed_by=iam.ServicePrincipal("events.amazonaws.com"),
        )
        nag.grant(role, permissions.start_watch(self, stage))
        self._stage = stage
        target = targets.EcsTask(
            cluster=service.cluster,
            task_definition=service.task_definition,
            # Otherwise CDK lets it pass on the service's role, and not the watch's.
            role=role.without_policy_updates(),
            subnet_selection=subnets,
            security_groups=service.connections.security_groups,
            assign_public_ip=False,
            propagate_tags=ecs.PropagatedTagSource.TASK_DEFINITION,
            # The next run comes anyway, and the freshness alarm hears a long silence.
            retry_attempts=0,
        )
        due = events.Rule(
            self,
            "Rule",
            description="Measures every task that is due",
            schedule=schedule,
            targets=[target],
        )
        _first_target(due, "Input", self._overrides("--due"))
        for start in range(0, len(tasks), _NAMES_A_RULE):
            names = [task.name for task in tasks[start : start + _NAMES_A_RULE]]
            compare = events.Rule(
                self,
                f"Compare{start}",
                description="Measures a task beside its way back, when the rollback Lambda asks",
                event_pattern=events.EventPattern(
                    source=[aws_names.event_source()],
                    detail_type=[aws_names.EVENT_COMPARE],
                    # Two stages may share a bus. Names that are known, for EventBridge puts what
                    # an event says into a command as it is.
                    detail={"stage": [stage], "task": names},
                ),
                targets=[target],
            )
            template = {
                "InputPathsMap": {"task": "$.detail.task"},
                "InputTemplate": self._overrides("<task>", "--compare"),
            }
            _first_target(compare, "InputTransformer", template)

    def _overrides(self, *arguments: str) -> str:
        """Return a container's command and role; `<task>` is what an event's name of it becomes.

        Said here: CDK's own parameter calls the role by a name that ECS does not know.
        """
        command = ["prompt-hub", "watch", *arguments]
        overrides = {
            "containerOverrides": [{"name": aws_names.CONTAINER, "command": command}],
            "taskRoleArn": arns.role(self, aws_names.watch_role(self._stage)),
        }
        return Stack.of(self).to_json_string(overrides)


def _first_target(rule: events.Rule, name: str, value: object) -> None:
    made = cast(events.CfnRule, rule.node.default_child)
    # CDK writes an empty one, and EventBridge takes a target with one kind of input only.
    made.add_property_deletion_override("Targets.0.Input")
    made.add_property_override(f"Targets.0.{name}", value)
