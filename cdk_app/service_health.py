"""Alarms on the health of the service: they stop a bad deployment, and tell people."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct

from prompt_hub import names


class ServiceHealth(Construct):
    """Rolls a deployment back when tasks stay unhealthy or answer with errors.

    Health only, never scores: a bad prompt is the ledger's to take back, not ECS's (design D1).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        service: ecs.FargateService,
        target_group: elbv2.ApplicationTargetGroup,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        minute = Duration.minutes(1)
        unhealthy = f"{names.service(stage)}-unhealthy"
        errors = f"{names.service(stage)}-errors"
        alarms = [
            self._build_alarm(
                "Unhealthy",
                unhealthy,
                f"A task of {names.service(stage)} stays unhealthy.",
                target_group.metrics.unhealthy_host_count(period=minute, statistic="Maximum"),
                threshold=1,
            ),
            self._build_alarm(
                "Errors",
                errors,
                f"{names.service(stage)} answers with server errors.",
                target_group.metrics.http_code_target(
                    elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=minute, statistic="Sum"
                ),
                threshold=5,
            ),
        ]
        for alarm in alarms:
            alarm.add_alarm_action(actions.SnsAction(topic))
        # By literal name and explicit order: a reference could make a circle that only a deployment
        # would find.
        service.enable_deployment_alarms(
            [unhealthy, errors], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
        )
        service.node.add_dependency(*alarms)

    def _build_alarm(
        self,
        construct_id: str,
        name: str,
        description: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float,
    ) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            construct_id,
            alarm_name=name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=3,
            evaluation_periods=3,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
