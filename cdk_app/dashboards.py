"""Dashboards: one a stage, one of the toolchain; AWS's metrics by cdk-monitoring-constructs.

A version is told by its own line: where that of one version ends and another begins, it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cdk_monitoring_constructs as monitoring
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app import arns
from cdk_app.score_metric import score_metric
from cdk_app.tasks import Task
from prompt_hub.core import aws_names

_PERIOD = Duration.minutes(5)
_WIDTH, _HEIGHT = 12, 6
_CHANGES = ("roll-back", "freeze", "page", "compare")
"""What the rollback Lambda decides, by the words of its `Action`, without `nothing`."""

VERDICT_LINE = r"^(RED|ok ) \S+ \S+: "
"""How a line of `prompt-hub verdict` on a task begins."""


class StageDashboard(Construct):
    """Scores and calls of each task; then the service, the rollback and what they stand on."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        tasks: Sequence[Task],
        service: ecs.FargateService,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._board = _board(self, aws_names.dashboard(stage))
        self._board.add_large_header("Prompts")
        for task in tasks:
            self._add_task(task)
        self._add_sums()
        self._add_service(service, load_balancer, target_group)
        ledger = arns.ledger_table(self, stage)
        self._board.monitor_dynamo_table(
            table=dynamodb.Table.from_table_name(self, "Ledger", ledger),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            human_readable_name=ledger,
            alarm_friendly_name="ledger",
        )
        rollback = lambda_.Function.from_function_arn(
            self, "Rollback", arns.rollback_function(self, stage)
        )
        self._board.monitor_lambda_function(
            lambda_function=rollback,
            human_readable_name=aws_names.rollback_function(stage),
            alarm_friendly_name="rollback",
        )
        self._board.monitor_sns_topic(
            topic=topic,
            human_readable_name=aws_names.notification_topic(stage),
            alarm_friendly_name="notifications",
            add_message_notifications_failed_alarm={
                "Any": monitoring.NotificationsFailedThreshold(
                    max_notifications_failed_count=0,
                    alarm_name_override=f"{aws_names.service(stage)}-notifications-failed",
                    alarm_description_override=(
                        f"A message of {stage} did not reach one of those who are told."
                    ),
                    # The others are.
                    action_override=monitoring.SnsAlarmActionStrategy(on_alarm_topic=topic),
                    treat_missing_data_override=cloudwatch.TreatMissingData.NOT_BREACHING,
                    evaluation_periods=1,
                    datapoints_to_alarm=1,
                )
            },
        )

    def _add_task(self, task: Task) -> None:
        score, threshold = (
            score_metric(metric, stage=self._stage, task=task, statistic="Average")
            for metric in (aws_names.METRIC_SCORE, aws_names.METRIC_THRESHOLD)
        )
        every = Duration.minutes(task.watch.every_minutes)
        moved = cloudwatch.Metric(
            namespace=aws_names.calls_namespace(),
            metric_name=aws_names.VERSION_MOVED,
            dimensions_map={"stage": self._stage, "task": task.name},
            # Each worker of each task of the service says it.
            statistic="Maximum",
            period=every,
            label="version changed",
        )
        of_versions = _search(
            f"{aws_names.metric_namespace()},Stage,Task,Version",
            aws_names.METRIC_SCORE,
            f'Stage="{self._stage}" Task="{task.name}"',
            statistic="Average",
            period=every,
            label="${PROP('Dim.Version')}",
        )
        scores = _graph(
            f"{task.name}: score of each version",
            of_versions,
            score.with_(label="active", color=cloudwatch.Color.BLUE),
            threshold.with_(label="threshold", color=cloudwatch.Color.RED),
            right=[moved],
        )
        calls = _graph(
            f"{task.name}: calls of each version",
            self._of_calls(aws_names.CALL_SECONDS, "SampleCount", "calls", task),
            self._of_calls(aws_names.CALL_CONTRACT_FAILED, "Sum", "contract broken", task),
            right=[self._of_calls(aws_names.CALL_SECONDS, "p90", "seconds, p90", task)],
        )
        self._board.add_widget(_row(scores, calls))

    def _add_sums(self) -> None:
        self._board.add_large_header("Tokens, cost, refusals, rollbacks")
        dollars = _graph(
            "US dollars of each task and version",
            self._of_calls(aws_names.CALL_USD, "Sum", "", None),
        )
        tokens = _graph(
            "Tokens of each task and version",
            self._of_calls(aws_names.CALL_INPUT_TOKENS, "Sum", "in", None),
            self._of_calls(aws_names.CALL_OUTPUT_TOKENS, "Sum", "out", None),
        )
        away = _graph(
            "Calls sent away",
            *(
                cloudwatch.Metric(
                    namespace=aws_names.calls_namespace(),
                    metric_name=metric,
                    dimensions_map={"stage": self._stage},
                    statistic="Sum",
                    period=_PERIOD,
                    label=label,
                )
                for metric, label in (
                    (aws_names.CALLS_REFUSED, "overloaded"),
                    (aws_names.CALLS_OVER_QUOTA, "over quota"),
                )
            ),
        )
        decisions = _graph(
            "Decisions of the rollback",
            *(
                cloudwatch.Metric(
                    namespace=aws_names.rollback_namespace(),
                    metric_name=aws_names.ROLLBACK_DECIDED,
                    dimensions_map={"stage": self._stage, "action": action},
                    statistic="Sum",
                    period=_PERIOD,
                    label=action,
                )
                for action in _CHANGES
            ),
        )
        self._board.add_widget(_row(dollars, tokens))
        self._board.add_widget(_row(away, decisions))

    def _add_service(
        self,
        service: ecs.FargateService,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
    ) -> None:
        metrics = target_group.metrics
        self._board.add_large_header("What answers")
        codes = elbv2.HttpCodeTarget
        answers = _graph(
            "Requests, and answers with errors",
            metrics.request_count(period=_PERIOD, label="requests"),
            metrics.http_code_target(codes.TARGET_4XX_COUNT, period=_PERIOD, label="4xx"),
            metrics.http_code_target(codes.TARGET_5XX_COUNT, period=_PERIOD, label="5xx"),
        )
        latency = _graph(
            "Seconds of an answer",
            *(
                metrics.target_response_time(period=_PERIOD, statistic=part, label=part)
                for part in ("p50", "p90", "p99")
            ),
        )
        self._board.add_widget(_row(answers, latency))
        self._board.monitor_fargate_application_load_balancer(
            fargate_service=service,
            application_load_balancer=load_balancer,
            application_target_group=target_group,
            human_readable_name=aws_names.service(self._stage),
            alarm_friendly_name="service",
        )

    def _of_calls(
        self, metric: str, statistic: str, label: str, task: Task | None
    ) -> cloudwatch.MathExpression:
        """Return a metric of calls, each version its own line."""
        of_task = f' task="{task.name}"' if task else ""
        names = "${PROP('Dim.version')}" if task else "${PROP('Dim.task')} ${PROP('Dim.version')}"
        return _search(
            ",".join((aws_names.calls_namespace(), *aws_names.CALL_DIMENSIONS)),
            metric,
            f'stage="{self._stage}"{of_task}',
            statistic=statistic,
            period=_PERIOD,
            label=f"{names} {label}".strip(),
        )


class ToolchainDashboard(Construct):
    """Executions that ended red, evaluations and verdicts, and messages that reached nobody."""

    def __init__(self, scope: Construct, construct_id: str, *, log_group: str) -> None:
        super().__init__(scope, construct_id)
        board = _board(self, aws_names.dashboard(aws_names.TOOLCHAIN))
        board.add_large_header("Pipeline")
        failed = cloudwatch.Metric(
            namespace="AWS/CodePipeline",
            metric_name="FailedPipelineExecutions",
            dimensions_map={"PipelineName": aws_names.pipeline()},
            statistic="Sum",
            period=_PERIOD,
        )
        verdicts = cloudwatch.LogQueryWidget(
            title="Verdicts",
            log_group_names=[log_group],
            # What `prompt-hub verdict` says of each task.
            query_lines=[
                "fields @timestamp, @message",
                rf"filter @message like /{VERDICT_LINE}/",
                "sort @timestamp desc",
                "limit 50",
            ],
            width=_WIDTH,
            height=_HEIGHT,
        )
        board.add_widget(_row(_graph("Executions that ended red", failed), verdicts))
        board.monitor_code_build_project(
            project=codebuild.Project.from_project_name(
                self, "Evaluation", aws_names.evaluation_project()
            ),
            human_readable_name="evaluations",
            alarm_friendly_name="evaluations",
        )
        board.monitor_sns_topic(
            topic=sns.Topic.from_topic_arn(self, "Topic", arns.pipeline_topic(self)),
            human_readable_name=aws_names.pipeline_topic(),
            alarm_friendly_name="failures",
        )


def _row(*graphs: cloudwatch.IWidget) -> cloudwatch.IWidget:
    """Put graphs side by side. CDK's Python forgets that a row is a widget, too."""
    return cast(cloudwatch.IWidget, cloudwatch.Row(*graphs))


def _board(scope: Construct, name: str) -> monitoring.MonitoringFacade:
    return monitoring.MonitoringFacade(
        scope,
        "Monitoring",
        alarm_factory_defaults=monitoring.AlarmFactoryDefaults(
            actions_enabled=True, alarm_name_prefix=name
        ),
        dashboard_factory=monitoring.DefaultDashboardFactory(
            scope,
            "Dashboards",
            dashboard_name_prefix=name,
            create_summary_dashboard=False,
            create_alarm_dashboard=False,
        ),
    )


def _search(
    schema: str, metric: str, words: str, *, statistic: str, period: Duration, label: str
) -> cloudwatch.MathExpression:
    """Return a line for each set of dimensions that is found."""
    namespace, *dimensions = schema.split(",")
    quoted = ",".join((f'"{namespace}"', *dimensions))
    seconds = int(period.to_seconds())
    return cloudwatch.MathExpression(
        expression=(
            f"SEARCH('{{{quoted}}} MetricName=\"{metric}\" {words}', '{statistic}', {seconds})"
        ),
        label=label,
        period=period,
        using_metrics={},
    )


def _graph(
    title: str, *left: cloudwatch.IMetric, right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        # jsii takes no tuple for a list.
        left=list(left),
        right=list(right),
        left_y_axis=cloudwatch.YAxisProps(min=0),
        right_y_axis=cloudwatch.YAxisProps(min=0),
        width=_WIDTH,
        height=_HEIGHT,
    )
