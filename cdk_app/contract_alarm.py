"""The alarm on live calls that break their prompt's own contract."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app.tasks import Task
from prompt_hub.core import aws_names


class ContractAlarm(Construct):
    """Fires when too many answers of `task` break its output contract, few calls or many.

    It looks at the task, for an alarm can neither search for versions nor know which is active. The
    rollback Lambda reads the calls of each version, and decides what the alarm is evidence for.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        task: Task,
        rollback: lambda_.IFunction,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        window = Duration.minutes(aws_names.CONTRACT_WINDOW_MINUTES)

        def calls(statistic: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace=aws_names.calls_namespace(),
                metric_name=aws_names.CALL_CONTRACT_FAILED,
                dimensions_map=dict(
                    zip(aws_names.CALL_TASK_DIMENSIONS, (stage, task.name), strict=True)
                ),
                statistic=statistic,
                period=window,
            )

        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=aws_names.contract_alarm(stage, task.name),
            alarm_description=(
                f"{aws_names.BROKEN_PERCENT} % of the calls of {task.name} in {stage} within"
                f" {aws_names.CONTRACT_WINDOW_MINUTES} minutes, {aws_names.LEAST_BROKEN} at least,"
                " broke the prompt's output contract; the rollback Lambda decides what happens."
            ),
            metric=cloudwatch.MathExpression(
                expression=f"IF(broken >= {aws_names.LEAST_BROKEN}, 100 * broken / calls, 0)",
                label="broken contracts, percent",
                period=window,
                using_metrics={"broken": calls("Sum"), "calls": calls("SampleCount")},
            ),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            threshold=aws_names.BROKEN_PERCENT,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.LambdaAction(rollback), actions.SnsAction(topic))
