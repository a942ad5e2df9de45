"""The alarm that rolls a prompt back."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app.score_metric import score_metric
from cdk_app.tasks import Task
from prompt_hub.core import aws_names


class ScoreAlarm(Construct):
    """Fires when `task` scores below the threshold that its active version was released with.

    It looks at `ScoreMargin`, score minus locked threshold: a threshold raised in git, whose
    candidate is blocked, can then not roll back a healthy champion. Silence is not a
    bad score; the freshness alarm hears it. Without a `topic` nobody is told.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        task: Task,
        rollback: lambda_.IFunction,
        topic: sns.ITopic | None,
    ) -> None:
        super().__init__(scope, construct_id)
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=aws_names.score_alarm(stage, task.name),
            alarm_description=(
                f"{task.name} scores below its locked threshold in {stage};"
                " the rollback Lambda decides what happens."
            ),
            metric=score_metric(
                aws_names.METRIC_SCORE_MARGIN, stage=stage, task=task, statistic="Minimum"
            ),
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=0,
            datapoints_to_alarm=task.watch.datapoints_to_alarm,
            evaluation_periods=task.watch.evaluation_periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(
            actions.LambdaAction(rollback),
            *([] if topic is None else [actions.SnsAction(topic)]),
        )
