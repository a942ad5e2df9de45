"""The service of one stage, its network, and the schedule that measures it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import CfnOutput
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app import arns
from cdk_app.dashboards import StageDashboard
from cdk_app.network import Network
from cdk_app.prompt_service import PromptService
from cdk_app.records_machine import RecordsMachine
from cdk_app.score_watch import ScoreWatch, watch_schedule
from cdk_app.service_health import ServiceHealth
from cdk_app.settings import Settings
from cdk_app.stack import StageStack
from cdk_app.stage_settings import StageSettings
from cdk_app.tasks import Task


class ServiceStack(StageStack):
    """Everything that a new release replaces; `release` is the image's tag."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        stage: StageSettings,
        tasks: Sequence[Task],
        release: str,
    ) -> None:
        self._zones = list(stage.availability_zones)
        super().__init__(
            scope, construct_id, stage=stage, purpose="the service that answers with active prompts"
        )
        network = Network(self, "Network", stage=stage)
        prompts = PromptService(
            self, "Prompts", settings=settings, stage=stage, release=release, network=network
        )
        topic = sns.Topic.from_topic_arn(
            self, "Notifications", arns.notification_topic(self, stage.name)
        )
        ServiceHealth(
            self,
            "Health",
            stage=stage.name,
            service=prompts.service,
            target_group=prompts.target_group,
            topic=topic,
        )
        StageDashboard(
            self,
            "Dashboard",
            stage=stage.name,
            tasks=tasks,
            service=prompts.service,
            load_balancer=prompts.load_balancer,
            target_group=prompts.target_group,
            topic=topic,
            records=stage.records is not None,
        )
        # What starts the watch is here and not beside the alarms: it names the exact revision of
        # the task definition, which another stack could only import as an export that every release
        # would then be unable to change.
        ScoreWatch(
            self,
            "Watch",
            stage=stage.name,
            tasks=tasks,
            schedule=watch_schedule(tasks, stage=stage, stages=settings.stages),
            service=prompts.service,
            subnets=network.subnets,
        )
        if stage.records is not None:
            RecordsMachine(
                self,
                "Records",
                stage=stage.name,
                settings=stage.records,
                service=prompts.service,
                subnets=network.vpc.select_subnets(
                    subnet_type=network.subnets.subnet_type, subnets=network.subnets.subnets
                ).subnet_ids,
                topic=topic,
            )
        CfnOutput(self, "Url", value=prompts.url)
        CfnOutput(self, "VpcId", value=network.vpc.vpc_id, description="To peer callers with")

    @property
    def availability_zones(self) -> list[str]:
        """The zones from the settings; otherwise CDK would look them up with credentials."""
        return self._zones
