"""Watching scores and taking bad prompts out of service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk_app import arns, trigger
from cdk_app.contract_alarm import ContractAlarm
from cdk_app.freshness_alarm import FreshnessAlarm, WatchBudgetAlarm
from cdk_app.on_call import OnCallRole
from cdk_app.rollback_function import RollbackFunction
from cdk_app.score_alarm import ScoreAlarm
from cdk_app.settings import Settings
from cdk_app.stack import StageStack
from cdk_app.stage_settings import StageSettings
from cdk_app.tasks import DRILL_ID, Task, drill_task
from prompt_hub.core import aws_names


class RollbackStack(StageStack):
    """The rollback Lambda, what calls it, and who is told."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        stage: StageSettings,
        tasks: Sequence[Task],
        root: Path,
    ) -> None:
        super().__init__(
            scope, construct_id, stage=stage, purpose="alarms on prompts and automatic rollback"
        )
        topic = self._build_topic(stage)
        rollback = RollbackFunction(
            self,
            "Rollback",
            stage=stage.name,
            # A drill by hand needs no setting of the stage's.
            tasks=[*tasks, drill_task()],
            root=root,
            topic=topic,
        )
        for task in tasks:
            ScoreAlarm(
                self,
                f"Score-{task.name}",
                stage=stage.name,
                task=task,
                rollback=rollback.for_alarms,
                topic=topic,
            )
            ContractAlarm(
                self,
                f"Contract-{task.name}",
                stage=stage.name,
                task=task,
                rollback=rollback.for_alarms,
                topic=topic,
            )
            FreshnessAlarm(self, f"Freshness-{task.name}", stage=stage.name, task=task, topic=topic)
        if stage.drill:
            # A drill is no news: it acts like every score alarm, and tells nobody.
            ScoreAlarm(
                self,
                f"Score-{DRILL_ID}",
                stage=stage.name,
                task=drill_task(),
                rollback=rollback.for_alarms,
                topic=None,
            )
        WatchBudgetAlarm(self, "WatchBudget", stage=stage.name, topic=topic)
        self._build_sweep(tasks, rollback.function)
        elsewhere = settings.is_elsewhere(stage)
        if stage.on_call is not None:
            # Results and images lie where the pipeline is, and are read with what one has there.
            OnCallRole(
                self,
                "OnCall",
                stage=stage.name,
                who=stage.on_call,
                with_results=not elsewhere,
                with_records=stage.records is not None,
                models=settings.models_of(stage).values(),
            )
        if elsewhere:
            bus = arns.event_bus_in(self, str(settings.account), settings.region)
            trigger.send_rollbacks_on(self, stage=stage.name, bus=bus)

    def _build_topic(self, stage: StageSettings) -> sns.Topic:
        topic = sns.Topic(
            self,
            "Notifications",
            topic_name=aws_names.notification_topic(stage.name),
            display_name=f"Prompt Hub {stage.name}",
            enforce_ssl=True,
        )
        # A topic with a policy of its own loses the default one that lets alarms publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnLike": {"aws:SourceArn": arns.alarm(self, aws_names.named("*"))},
                },
            )
        )
        for address in dict.fromkeys(stage.notification_emails):
            topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def _build_sweep(self, tasks: Sequence[Task], rollback: lambda_.IFunction) -> None:
        """CloudWatch calls only on the transition; "not enough evidence yet" needs another look."""
        minutes = min(task.watch.every_minutes for task in tasks)
        events.Rule(
            self,
            "Sweep",
            description="Looks again at every alarm on a prompt that is still firing",
            schedule=events.Schedule.rate(Duration.minutes(minutes)),
            targets=[targets.LambdaFunction(rollback, retry_attempts=0)],
        )
