"""Dashboards: one a stage, one of the toolchain; AWS's metrics by cdk-monitoring-constructs.

A version is told by its own line: where that of one version ends and another begins, it changed.
"""

from __future__ import annotations

from collections.abc import Sequence

import cdk_monitoring_constructs as monitoring
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from cdk_app import arns
from cdk_app.dashboard_graphs import (
    HEIGHT,
    THIRD,
    WIDTH,
    facade,
    graph,
    labelled,
    messages,
    row,
    search,
)
from cdk_app.score_metric import score_metric
from cdk_app.tasks import Task
from prompt_hub.core import aws_names

_PERIOD = Duration.minutes(5)
_CHANGES = ("roll-back", "freeze", "page", "compare")
"""What the rollback Lambda decides, by the words of its `Action`, without `nothing`."""
_MOST_WIDGETS, _NOT_OF_TASKS = 500, 50
"""What CloudWatch takes in a dashboard, and what of it is left to all that is no task's."""

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
        records: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._board = facade(self, aws_names.dashboard(stage))
        self._board.add_large_header("Prompts")
        in_three = 3 * len(tasks) <= _MOST_WIDGETS - _NOT_OF_TASKS
        for task in tasks:
            self._add_task(task, in_three=in_three)
        self._add_sums()
        self._add_service(service, load_balancer, target_group)
        if records:
            self._add_records()
        self._add_ledger()
        self._add_rollback()
        self._board.add_widget(
            messages(
                self._board,
                topic,
                "Notifications",
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
        )

    def _add_task(self, task: Task, *, in_three: bool) -> None:
        """Show a task in three graphs, or in two: its seconds then stand beside its calls."""
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
        of_versions = search(
            f"{aws_names.metric_namespace()},Stage,Task,Version",
            aws_names.METRIC_SCORE,
            f'Stage="{self._stage}" Task="{task.name}"',
            statistic="Average",
            period=every,
            label="${PROP('Dim.Version')}",
        )
        width = THIRD if in_three else WIDTH
        p90 = self._of_calls(aws_names.CALL_SECONDS, "p90", "" if in_three else "seconds", task)
        scores = graph(
            f"{task.name}: score of each version",
            of_versions,
            score.with_(label="active", color=cloudwatch.Color.BLUE),
            threshold.with_(label="threshold", color=cloudwatch.Color.RED),
            right=[moved],
            right_label="changed",
            width=width,
        )
        calls = graph(
            f"{task.name}: calls of each version",
            self._of_calls(aws_names.CALL_SECONDS, "SampleCount", "calls", task),
            self._of_calls(aws_names.CALL_CONTRACT_FAILED, "Sum", "contract broken", task),
            right=[] if in_three else [p90],
            right_label=None if in_three else "seconds, p90",
            width=width,
        )
        seconds = [graph(f"{task.name}: seconds, p90", p90, width=width)] if in_three else []
        self._board.add_widget(row(scores, calls, *seconds))

    def _add_sums(self) -> None:
        self._board.add_large_header("Cost of each task and version, refusals, rollbacks")
        sums = [
            graph(title, self._of_calls(metric, "Sum", "", None), width=THIRD)
            for title, metric in (
                ("US dollars", aws_names.CALL_USD),
                ("Tokens read", aws_names.CALL_INPUT_TOKENS),
                ("Tokens written", aws_names.CALL_OUTPUT_TOKENS),
            )
        ]
        away = graph(
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
        decisions = graph(
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
        self._board.add_widget(row(*sums))
        self._board.add_widget(row(away, decisions))

    def _add_service(
        self,
        service: ecs.FargateService,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
    ) -> None:
        metrics = target_group.metrics
        self._board.add_large_header("What answers")
        codes = elbv2.HttpCodeTarget
        answers = graph(
            "Requests, and answers with errors",
            metrics.request_count(period=_PERIOD, label="requests"),
            metrics.http_code_target(codes.TARGET_4XX_COUNT, period=_PERIOD, label="4xx"),
            metrics.http_code_target(codes.TARGET_5XX_COUNT, period=_PERIOD, label="5xx"),
        )
        latency = graph(
            "Seconds of an answer",
            *(
                metrics.target_response_time(period=_PERIOD, statistic=part, label=part)
                for part in ("p50", "p90", "p99")
            ),
        )
        self._board.add_widget(row(answers, latency))
        factory = self._board.create_metric_factory()
        used = monitoring.BaseServiceMetricFactory(factory, service=service)
        targets = monitoring.ApplicationLoadBalancerMetricFactory(
            factory, application_load_balancer=load_balancer, application_target_group=target_group
        )
        highest = monitoring.MetricStatistic.MAX
        usage = graph(
            "CPU and memory in use, %",
            labelled(used.metric_cluster_cpu_utilisation_in_percent(), "CPU"),
            labelled(used.metric_cluster_cpu_utilisation_in_percent(highest), "CPU, fullest task"),
            labelled(used.metric_cluster_memory_utilisation_in_percent(), "memory"),
            labelled(
                used.metric_cluster_memory_utilisation_in_percent(highest), "memory, fullest task"
            ),
            most=100,
        )
        tasks = graph(
            "Containers of the service",
            labelled(used.metric_running_task_count(), "running"),
            labelled(targets.metric_healthy_task_count(), "healthy"),
            labelled(targets.metric_unhealthy_task_count(), "unhealthy"),
        )
        self._board.add_widget(row(usage, tasks))

    def _add_ledger(self) -> None:
        self._board.add_large_header("Ledger, rollback function, messages")
        name = arns.ledger_table(self, self._stage)
        table = dynamodb.Table.from_table_name(self, "Ledger", name)
        factory = self._board.create_metric_factory()
        ledger = monitoring.DynamoTableMetricFactory(
            factory, table=table, billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST
        )
        self._board.add_widget(
            row(
                graph(
                    "Ledger: capacity units a second",
                    labelled(ledger.metric_consumed_read_capacity_units(), "read"),
                    labelled(ledger.metric_consumed_write_capacity_units(), "written"),
                    width=THIRD,
                ),
                graph(
                    "Ledger: milliseconds of a request",
                    self._of_ledger(name, "SuccessfulRequestLatency", "Average", ""),
                    width=THIRD,
                ),
                graph(
                    "Ledger: requests that failed",
                    labelled(ledger.metric_throttled_read_request_count(), "reads throttled"),
                    labelled(ledger.metric_throttled_write_request_count(), "writes throttled"),
                    # Of every operation, transactions among them.
                    self._of_ledger(name, "SystemErrors", "Sum", "errors of "),
                    width=THIRD,
                ),
            )
        )

    def _of_ledger(
        self, table: str, metric: str, statistic: str, label: str
    ) -> cloudwatch.MathExpression:
        """Return a metric of the ledger, each operation its own line."""
        return search(
            "AWS/DynamoDB,TableName,Operation",
            metric,
            f'TableName="{table}"',
            statistic=statistic,
            period=_PERIOD,
            label=f"{label}${{PROP('Dim.Operation')}}",
        )

    def _add_rollback(self) -> None:
        rollback = monitoring.LambdaFunctionMetricFactory(
            self._board.create_metric_factory(),
            lambda_function=lambda_.Function.from_function_arn(
                self, "Rollback", arns.rollback_function(self, self._stage)
            ),
        )
        runs = graph(
            "Rollback function: runs",
            labelled(rollback.metric_invocation_count(), "runs"),
            labelled(rollback.metric_fault_count(), "failed"),
            labelled(rollback.metric_throttles_count(), "throttled"),
        )
        times = graph(
            "Rollback function: milliseconds",
            *(
                labelled(rollback.metric_latency_in_millis(kind), label)
                for kind, label in (
                    (monitoring.LatencyType.P50, "p50"),
                    (monitoring.LatencyType.P90, "p90"),
                    (monitoring.LatencyType.P99, "p99"),
                )
            ),
        )
        self._board.add_widget(row(runs, times))

    def _add_records(self) -> None:
        self._board.add_large_header("Files of records")
        self._board.monitor_step_function(
            state_machine=stepfunctions.StateMachine.from_state_machine_arn(
                self, "Records", arns.records_state_machine(self, self._stage)
            ),
            human_readable_name=aws_names.records_state_machine(self._stage),
            alarm_friendly_name="records",
        )

    def _of_calls(
        self, metric: str, statistic: str, label: str, task: Task | None
    ) -> cloudwatch.MathExpression:
        """Return a metric of calls, each version its own line."""
        of_task = f' task="{task.name}"' if task else ""
        names = "${PROP('Dim.version')}" if task else "${PROP('Dim.task')} ${PROP('Dim.version')}"
        return search(
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
        board = facade(self, aws_names.dashboard(aws_names.TOOLCHAIN))
        board.add_large_header("Pipeline")
        failed = cloudwatch.Metric(
            namespace="AWS/CodePipeline",
            metric_name="FailedPipelineExecutions",
            dimensions_map={"PipelineName": aws_names.pipeline()},
            statistic="Sum",
            period=_PERIOD,
            label="executions",
        )
        verdicts = cloudwatch.LogQueryWidget(
            title="Verdicts",
            log_group_names=[log_group],
            # What `prompt-hub verdict` says of each task: after Promote, and again at the end.
            query_lines=[
                "fields @timestamp, @message",
                rf"filter @message like /{VERDICT_LINE}/",
                "sort @timestamp desc",
                "dedup @message",
                "limit 50",
            ],
            width=2 * WIDTH,
            height=HEIGHT,
        )
        project = monitoring.CodeBuildProjectMetricFactory(
            board.create_metric_factory(),
            project=codebuild.Project.from_project_name(
                self, "Evaluation", aws_names.evaluation_project()
            ),
        )
        builds = graph(
            "Evaluations that ended",
            labelled(project.metric_succeeded_build_count(), "succeeded"),
            labelled(project.metric_failed_build_count(), "failed"),
            width=THIRD,
        )
        seconds = graph(
            "Seconds of an evaluation",
            labelled(project.metric_duration_p50_in_seconds(), "p50"),
            labelled(project.metric_duration_p99_in_seconds(), "p99"),
            width=THIRD,
        )
        red = graph("Executions that ended red", failed, width=THIRD)
        board.add_widget(row(red, builds, seconds))
        board.add_widget(verdicts)
        topic = sns.Topic.from_topic_arn(self, "Topic", arns.pipeline_topic(self))
        board.add_widget(messages(board, topic, "Failures"))
