"""The alarms that hear silence: a watch that is dead, and one that may not measure."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app.score_metric import score_metric
from cdk_app.tasks import FRESHNESS_PERIODS, Task
from prompt_hub.core import aws_names


class FreshnessAlarm(Construct):
    """Pages people when the watch of `task` is silent: one that is dead watches nothing.

    It looks at the watch's heartbeat: a score, or that there was none to measure. An active version
    that cannot be measured has none. The sweep counts 0 for each active version, so that periods
    without a heartbeat breach from its activation on, also where there never was one. Where the
    sweep is silent as well, what was heard and is no more is told by `INSUFFICIENT_DATA`: the state
    that every alarm is made in, and of which nobody is told then.
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
                f"No word of {task.name} in {stage} for {FRESHNESS_PERIODS} rounds of its watch."
            ),
            metric=score_metric(
                aws_names.METRIC_HEARTBEAT, stage=stage, task=task, statistic="Sum"
            ),
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
            evaluation_periods=FRESHNESS_PERIODS,
            treat_missing_data=cloudwatch.TreatMissingData.MISSING,
        )
        people = actions.SnsAction(topic)
        alarm.add_alarm_action(people)
        alarm.add_insufficient_data_action(people)


class WatchBudgetAlarm(Construct):
    """Tells people that a task of `stage` is not measured for the rest of its day."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: str, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, construct_id)
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            alarm_name=aws_names.watch_budget_alarm(stage),
            alarm_description=(
                f"A task of {stage} has used its score_watch.calls_a_day: until midnight UTC it is"
                " not measured. The watch's log names it."
            ),
            metric=cloudwatch.Metric(
                namespace=aws_names.metric_namespace(),
                metric_name=aws_names.METRIC_ROUNDS_REFUSED,
                dimensions_map={aws_names.DIMENSION_STAGE: stage},
                statistic="Sum",
                period=Duration.hours(1),
            ),
            comparison_operator=(cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD),
            threshold=1,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
