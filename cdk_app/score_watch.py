"""The schedule on which the active version of a task is measured."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from cdk_app.tasks import Task
from prompt_hub.core import aws_names


class ScoreWatch(Construct):
    """Runs the service's own task definition with another command: same image, same role."""

    def __init__(
        self, scope: Construct, construct_id: str, *, task: Task, service: ecs.FargateService
    ) -> None:
        super().__init__(scope, construct_id)
        events.Rule(
            self,
            "Rule",
            description=f"Measures the active version of {task.name}",
            schedule=events.Schedule.rate(Duration.minutes(task.watch.every_minutes)),
            targets=[
                targets.EcsTask(
                    cluster=service.cluster,
                    task_definition=service.task_definition,
                    container_overrides=[
                        targets.ContainerOverride(
                            container_name=aws_names.CONTAINER,
                            command=["prompt-hub", "watch", task.name],
                        )
                    ],
                    subnet_selection=ec2.SubnetSelection(
                        subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS
                    ),
                    security_groups=service.connections.security_groups,
                    assign_public_ip=False,
                    # The next round comes anyway, and the freshness alarm hears a long silence.
                    retry_attempts=0,
                )
            ],
        )
