"""The metrics that the score watch publishes, as alarms look at them."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from cdk_app.tasks import Task
from prompt_hub.core import aws_names


def score_metric(metric: str, *, stage: str, task: Task, statistic: str) -> cloudwatch.Metric:
    """Return a metric of `task` in `stage` over one round of its score watch.

    The period is the schedule's own interval: shorter, and most periods would hold no sample.
    """
    return cloudwatch.Metric(
        namespace=aws_names.metric_namespace(),
        metric_name=metric,
        dimensions_map={aws_names.DIMENSION_STAGE: stage, aws_names.DIMENSION_TASK: task.name},
        statistic=statistic,
        period=Duration.minutes(task.watch.every_minutes),
    )
