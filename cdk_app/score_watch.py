"""The schedule on which a stage's score watch measures what is due."""

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


def watch_schedule(
    tasks: Sequence[Task], *, stage: StageSettings, stages: Sequence[StageSettings]
) -> events.Schedule:
    """Return when the watch of `stage` runs: often enough for the task that is measured most often.

    Evenly, by the clock: an interval of a task's, by which its alarms count as well, always holds a
    run. Stages follow one another, so that they do not ask the same models in the same minute; all
    of them begin in the first half of an interval, to publish in the one that they measured for.
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
        rule = events.Rule(
            self,
            "Rule",
            description="Measures every task that is due",
            schedule=schedule,
            targets=[
                targets.EcsTask(
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
            ],
        )
        # Said here: CDK's own parameter calls the role by a name that ECS does not know.
        overrides = {
            "containerOverrides": [
                {"name": aws_names.CONTAINER, "command": ["prompt-hub", "watch", "--due"]}
            ],
            "taskRoleArn": arns.role(self, aws_names.watch_role(stage)),
        }
        made = cast(events.CfnRule, rule.node.default_child)
        made.add_property_override("Targets.0.Input", Stack.of(self).to_json_string(overrides))
