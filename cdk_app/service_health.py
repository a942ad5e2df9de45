"""Alarms on the health of the service: they stop a bad deployment, and tell people."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct

from prompt_hub.core import aws_names

_MINUTE = Duration.minutes(1)
_ERRORS_WINDOW = Duration.minutes(15)
"""Long enough that a service of a few calls an hour can show what it is; a service of many calls
that fails altogether is beyond the percentage within the first minute."""
_LEAST_ERRORS = 3
"""Fewer say nothing, whatever part of the calls they are: one may be a provider's bad second."""
_ERRORS_PERCENT = 5


class ServiceHealth(Construct):
    """Rolls a deployment back while tasks of it stay unhealthy; tells people of everything else.

    Only the health of its tasks takes a deployment back. Answers with errors do not: they are what
    a failing provider or a bad prompt looks like, and the deployment may be the one that brings the
    repair. A bad prompt is the ledger's to take back, not ECS's.
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
        self._service = aws_names.service(stage)
        self._topic = topic
        metrics = target_group.metrics
        unhealthy = self._build_alarm(
            "Unhealthy",
            "unhealthy",
            f"A task of {self._service} stays unhealthy.",
            metrics.unhealthy_host_count(period=_MINUTE, statistic="Maximum"),
        )
        # By literal name and explicit order: a reference could make a circle that only a deployment
        # would find.
        service.enable_deployment_alarms(
            [f"{self._service}-unhealthy"], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
        )
        service.node.add_dependency(unhealthy)
        self._build_alarm(
            "Errors",
            "errors",
            f"{self._service} answers {_ERRORS_PERCENT} % of the calls of 15 minutes with server"
            f" errors, {_LEAST_ERRORS} calls at least.",
            cloudwatch.MathExpression(
                # Without an error there is no datapoint, which is not breaching.
                expression=f"IF(errors >= {_LEAST_ERRORS}, 100 * errors / requests, 0)",
                label="server errors, percent",
                period=_ERRORS_WINDOW,
                using_metrics={
                    "errors": metrics.http_code_target(
                        elbv2.HttpCodeTarget.TARGET_5XX_COUNT,
                        period=_ERRORS_WINDOW,
                        statistic="Sum",
                    ),
                    "requests": metrics.request_count(period=_ERRORS_WINDOW, statistic="Sum"),
                },
            ),
            threshold=_ERRORS_PERCENT,
            # The window trails: one look at it is enough.
            periods=1,
        )
        down = self._build_alarm(
            "Down",
            "down",
            f"No task of {self._service} is healthy: nobody is answered.",
            metrics.healthy_host_count(period=_MINUTE, statistic="Maximum"),
            operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.MISSING,
        )
        # Tasks that die before they are healthy are no targets: the metric then falls silent. Taken
        # for a breach, the silence before the first target, or before the balancer's first minute
        # is published, would tell people of each new stage that it is down.
        down.add_insufficient_data_action(actions.SnsAction(self._topic))
        for alarm in aws_names.SERVICE_ALARMS:
            self._build_alarm(
                alarm.metric,
                alarm.name,
                alarm.meaning,
                cloudwatch.Metric(
                    namespace=aws_names.service_namespace(),
                    metric_name=alarm.metric,
                    dimensions_map={aws_names.DIMENSION_STAGE: stage},
                    statistic="Sum",
                    period=_MINUTE,
                ),
            )

    def _build_alarm(
        self,
        construct_id: str,
        name: str,
        description: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float = 1,
        periods: int = 3,
        operator: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_name=f"{self._service}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=operator,
            datapoints_to_alarm=periods,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm
