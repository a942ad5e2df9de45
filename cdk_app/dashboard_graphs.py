"""What dashboards are put together from: graphs, rows of them, and searches for their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import cdk_monitoring_constructs as monitoring
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

WIDTH, THIRD, HEIGHT = 12, 8, 5
"""Of 24 columns, and of rows: a graph beside one other, beside two, and how high it is."""
Metric = cloudwatch.Metric | cloudwatch.MathExpression


def row(*graphs: cloudwatch.IWidget) -> cloudwatch.IWidget:
    """Put graphs side by side. CDK's Python forgets that a row is a widget, too."""
    return cast(cloudwatch.IWidget, cloudwatch.Row(*graphs))


def messages(
    board: monitoring.MonitoringFacade,
    topic: sns.ITopic,
    title: str,
    *,
    add_message_notifications_failed_alarm: Mapping[str, monitoring.NotificationsFailedThreshold]
    | None = None,
) -> cloudwatch.IWidget:
    """Return what is published in a topic beside what did not arrive, with the alarm's line."""
    shown = monitoring.SnsTopicMonitoring(
        board,
        topic=topic,
        alarm_friendly_name=title.lower(),
        add_message_notifications_failed_alarm=add_message_notifications_failed_alarm,
    )
    metrics = monitoring.SnsTopicMetricFactory(board.create_metric_factory(), topic=topic)
    published = graph(
        f"{title}: messages",
        labelled(metrics.metric_incoming_message_count(), "published"),
        labelled(metrics.metric_outgoing_message_count(), "delivered"),
    )
    return row(published, shown.create_message_failed_widget(WIDTH, HEIGHT))


def labelled(metric: Metric, label: str) -> Metric:
    """Say what a metric of the library is, in our words."""
    return metric.with_(label=label)


def facade(scope: Construct, name: str) -> monitoring.MonitoringFacade:
    """Return the board of a dashboard, which has no page but its own."""
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


def search(
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


def graph(
    title: str,
    *left: cloudwatch.IMetric,
    right: Sequence[cloudwatch.IMetric] = (),
    right_label: str | None = None,
    width: int = WIDTH,
    most: int | None = None,
) -> cloudwatch.GraphWidget:
    """Return a graph whose axes begin at 0; `most` is where the left one ends."""
    return cloudwatch.GraphWidget(
        title=title,
        # jsii takes no tuple for a list.
        left=list(left),
        right=list(right),
        left_y_axis=cloudwatch.YAxisProps(min=0, max=most),
        right_y_axis=cloudwatch.YAxisProps(min=0, label=right_label, show_units=False),
        width=width,
        height=HEIGHT,
    )
