"""The alarm that hears silence."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app.score_metric import score_metric
from cdk_app.tasks import FRESHNESS_PERIODS, Task
from prompt_hub.core import aws_names


class FreshnessAlarm(Construct):
    """Pages people when no score of `task` arrives: a watch that is dead watches nothing.

    It also fires once on a new stage, before the first activation has been measured.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        task: Task,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=aws_names.freshness_alarm(stage, task.name),
            alarm_description=(
                f"No score of {task.name} in {stage} for {FRESHNESS_PERIODS} rounds of its watch."
            ),
            metric=score_metric(
                aws_names.METRIC_SCORE, stage=stage, task=task, statistic="SampleCount"
            ),
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
            evaluation_periods=FRESHNESS_PERIODS,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
