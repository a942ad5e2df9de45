"""Dashboards show what the runtime publishes: each metric by its own name and dimensions."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import NamedTuple, cast

import pytest
from mypy_boto3_cloudwatch import CloudWatchClient

import handler
from cdk_app.dashboards import VERDICT_LINE
from decision import Action, Decision
from local_aws.embedded_metrics import metrics_in
from prompt_hub.core import aws_names
from prompt_hub.llm.response import Answer, ModelResponse, Usage
from prompt_hub.monitoring.metrics import metric_data
from prompt_hub.monitoring.monitor import MonitorRun
from prompt_hub.service.admission import Refusals
from prompt_hub.service.execution_log import Call, call_line, write_json_lines
from prompt_hub.service.metrics import LogsAndMetrics
from tests.infrastructure.synthesised import TASKS, Assembly, Json

SEARCH = re.compile(
    r"""SEARCH\('\{"([^"]+)",([^}]+)\} MetricName="([^"]+)" ([^']*)', '([^']+)', (\d+)\)"""
)


class Metric(NamedTuple):
    """A metric by all that its dimensions are called, in their alphabetical order."""

    namespace: str
    name: str
    dimensions: tuple[str, ...]


def board(assembly: Assembly, stack: str) -> Json:
    """A dashboard's body; what only a deployment knows is a question mark."""
    properties = assembly.only(stack, "AWS::CloudWatch::Dashboard")
    assert properties["DashboardName"] == f"prompt-hub-{stack_name(stack)}"
    parts: Sequence[object] = properties["DashboardBody"]["Fn::Join"][1]
    body: Json = json.loads("".join(p if isinstance(p, str) else "?" for p in parts))
    return body


def stack_name(stack: str) -> str:
    return {"dev-service": "dev", "pipeline": "toolchain"}[stack]


def widgets(assembly: Assembly, stack: str) -> dict[str, Json]:
    """The graphs of a dashboard, by title."""
    found = [widget["properties"] for widget in board(assembly, stack)["widgets"]]
    return {graph["title"]: graph for graph in found if "title" in graph}


def shown(graph: Json) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Yield namespace, name, dimensions and statistic of what a graph shows by name."""
    for row in graph["metrics"]:
        if isinstance(row[0], str):
            *names, options = row
            namespace, metric, *rest = names
            yield (
                namespace,
                metric,
                dict(zip(rest[::2], rest[1::2], strict=True)),
                options.get("stat", "Average"),
            )


def searched(graph: Json) -> list[tuple[str, list[str], str, str, str]]:
    """Namespace, dimensions, name, words and statistic of each search of a graph."""
    found = [SEARCH.fullmatch(row[0]["expression"]) for row in graph["metrics"] if len(row) == 1]
    assert all(found)
    return [(m[1], m[2].split(","), m[3], m[4], m[5]) for m in found if m is not None]


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_a_tasks_score_stands_beside_its_threshold_with_each_version_and_each_change(
    assembly: Assembly, task: str
) -> None:
    graph = widgets(assembly, "dev-service")[f"{task}: score of each version"]
    of_task = {"Stage": "dev", "Task": task}
    assert list(shown(graph)) == [
        ("PromptHub", "Score", of_task, "Average"),
        ("PromptHub", "Threshold", of_task, "Average"),
        ("PromptHub/Calls", "moved", {"stage": "dev", "task": task}, "Maximum"),
    ]
    words = f'Stage="dev" Task="{task}"'
    assert searched(graph) == [
        ("PromptHub", ["Stage", "Task", "Version"], "Score", words, "Average")
    ]


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_calls_are_shown_as_the_log_line_names_them(assembly: Assembly, task: str) -> None:
    graphs = widgets(assembly, "dev-service")
    names = list(aws_names.CALL_DIMENSIONS)
    words = f'stage="dev" task="{task}"'
    assert searched(graphs[f"{task}: calls of each version"]) == [
        ("PromptHub/Calls", names, "seconds", words, "SampleCount"),
        ("PromptHub/Calls", names, "contract_failed", words, "Sum"),
    ]
    assert searched(graphs[f"{task}: seconds, p90"]) == [
        ("PromptHub/Calls", names, "seconds", words, "p90")
    ]


def test_a_stage_shows_cost_refusals_rollbacks_and_what_it_stands_on(assembly: Assembly) -> None:
    graphs = widgets(assembly, "dev-service")
    for title, metric in (
        ("US dollars", "usd"),
        ("Tokens read", "gen_ai.usage.input_tokens"),
        ("Tokens written", "gen_ai.usage.output_tokens"),
    ):
        ((*_, name, words, statistic),) = searched(graphs[title])
        assert (name, words, statistic) == (metric, 'stage="dev"', "Sum")
    assert list(shown(graphs["Calls sent away"])) == [
        ("PromptHub/Calls", metric, {"stage": "dev"}, "Sum") for metric in ("refused", "over_quota")
    ]
    assert [item[2] for item in shown(graphs["Decisions of the rollback"])] == [
        {"stage": "dev", "action": action} for action in ("roll-back", "freeze", "page", "compare")
    ]
    looked_at = {(item[0], item[1]) for graph in graphs.values() for item in shown_of(graph)}
    assert looked_at >= {
        ("AWS/ApplicationELB", "RequestCount"),
        ("AWS/ApplicationELB", "HTTPCode_Target_4XX_Count"),
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
        ("AWS/ApplicationELB", "TargetResponseTime"),
        ("AWS/DynamoDB", "ReadThrottleEvents"),
        ("AWS/Lambda", "Errors"),
        ("AWS/SNS", "NumberOfNotificationsFailed"),
    }


def shown_of(graph: Json) -> list[list[str]]:
    return [row for row in graph.get("metrics", []) if isinstance(row[0], str)]


def test_two_graphs_stand_side_by_side_and_none_over_another(assembly: Assembly) -> None:
    for stack in ("dev-service", "pipeline"):
        taken: set[tuple[int, int]] = set()
        for widget in board(assembly, stack)["widgets"]:
            x, y = widget.get("x", 0), widget.get("y", 0)
            cells = {
                (x + right, y + down)
                for right in range(widget["width"])
                for down in range(widget["height"])
            }
            assert not taken & cells
            assert x + widget["width"] <= 24
            taken |= cells


def test_a_message_that_reaches_nobody_is_an_alarm(assembly: Assembly) -> None:
    alarms = assembly.resources("dev-service", "AWS::CloudWatch::Alarm").values()
    (alarm,) = (a for a in alarms if a["AlarmName"] == "prompt-hub-dev-notifications-failed")
    (metric,) = alarm["Metrics"]
    stat = metric["MetricStat"]
    assert (stat["Stat"], alarm["Threshold"]) == ("Sum", 0)
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert stat["Metric"]["MetricName"] == "NumberOfNotificationsFailed"
    assert alarm["TreatMissingData"] == "notBreaching"
    assert len(alarm["AlarmActions"]) == 1


def test_the_toolchain_shows_red_executions_evaluations_and_verdicts(assembly: Assembly) -> None:
    graphs = widgets(assembly, "pipeline")
    (red,) = shown(graphs["Executions that ended red"])
    assert red[2] == {"PipelineName": aws_names.pipeline()}
    assert "SOURCE '/prompt-hub/pipeline'" in graphs["Verdicts"]["query"]
    builds = [row for graph in graphs.values() for row in shown_of(graph)]
    assert any("prompt-hub-evaluation" in row for row in builds)


@pytest.mark.parametrize(
    ("line", "shows"),
    [
        ("RED maker 1.1.0: refused, BLOCK: the candidate is worse", True),
        ("ok  maker 1.1.0: promoted, PASS: better", True),
        ("prompt-hub verdict", False),
        ("told arn:aws:sns:eu-central-1:1:prompt-hub-failures", False),
    ],
)
def test_a_verdict_is_found_in_the_log_by_its_first_words(line: str, shows: bool) -> None:
    assert bool(re.search(VERDICT_LINE, line)) is shows


def test_the_actions_shown_are_those_that_the_function_knows(assembly: Assembly) -> None:
    titles = widgets(assembly, "dev-service")
    shown_actions = {item[2]["action"] for item in shown(titles["Decisions of the rollback"])}
    assert shown_actions == {action.value for action in Action} - {Action.NOTHING.value}


def test_the_function_and_the_table_are_shown_without_what_they_never_have(
    assembly: Assembly,
) -> None:
    graphs = widgets(assembly, "dev-service")
    names = {row[1] for graph in graphs.values() for row in shown_of(graph)}
    # Of streams, of provisioned concurrency, of a load balancer that fails open.
    assert not names & {"IteratorAge", "ProvisionedConcurrencySpilloverInvocations"}
    failed = searched_among(graphs["Ledger: requests that failed"])
    # Every operation, transactions among them: a sum over named ones is empty where one has none.
    assert failed == [("AWS/DynamoDB", ["TableName", "Operation"], "SystemErrors", "Sum")]


def searched_among(graph: Json) -> list[tuple[str, list[str], str, str]]:
    """The searches of a graph that has other expressions, too."""
    found = [SEARCH.fullmatch(str(row[0].get("expression"))) for row in expressions(graph)]
    return [(m[1], m[2].split(","), m[3], m[5]) for m in found if m is not None]


def expressions(graph: Json) -> list[list[Json]]:
    return [row for row in graph.get("metrics", []) if isinstance(row[0], dict)]


def test_no_two_graphs_show_the_same(assembly: Assembly) -> None:
    for stack in ("dev-service", "pipeline"):
        graphs = widgets(assembly, stack)
        titled = [w for w in board(assembly, stack)["widgets"] if "title" in w["properties"]]
        assert len(titled) == len(graphs)
        rows = [json.dumps(row) for graph in graphs.values() for row in graph.get("metrics", [])]
        assert len(rows) == len(set(rows))


def test_a_verdict_is_told_once(assembly: Assembly) -> None:
    stages = widgets(assembly, "pipeline")["Verdicts"]["query"].split("\n| ")
    # After `dedup` CloudWatch takes nothing but `limit`.
    assert stages[-3:] == ["sort @timestamp desc", "dedup @message", "limit 50"]


OF_AWS = {
    "AWS/ApplicationELB": {("LoadBalancer", "TargetGroup")},
    "AWS/CodeBuild": {("ProjectName",)},
    "AWS/CodePipeline": {("PipelineName",)},
    "AWS/DynamoDB": {("TableName",), ("Operation", "TableName")},
    "AWS/ECS": {("ClusterName", "ServiceName")},
    "AWS/Lambda": {("FunctionName",)},
    "AWS/SNS": {("TopicName",)},
    "AWS/States": {("StateMachineArn",)},
    "ECS/ContainerInsights": {("ClusterName", "ServiceName")},
}
"""By what AWS's services tell their metrics apart, where a dashboard shows them."""


@pytest.mark.parametrize("stack", ["dev-service", "pipeline"])
def test_every_metric_on_a_dashboard_is_published(
    assembly: Assembly, published: set[Metric], stack: str
) -> None:
    looked_at = set(metrics_of(assembly, stack))
    assert looked_at
    for metric in looked_at:
        if metric.namespace in OF_AWS:
            assert metric.dimensions in OF_AWS[metric.namespace], metric
        else:
            assert metric in published


def metrics_of(assembly: Assembly, stack: str) -> Iterator[Metric]:
    for graph in widgets(assembly, stack).values():
        for row in shown_of(graph):
            yield Metric(row[0], row[1], tuple(sorted(row[2:-1:2])))
        for row in expressions(graph):
            if found := SEARCH.fullmatch(row[0]["expression"]):
                yield Metric(found[1], found[3], tuple(sorted(found[2].split(","))))
            else:
                # Its metrics stand beside it.
                assert re.search(r"\b(FILL|PERIOD)\(", row[0]["expression"])


@pytest.fixture
def published(capsys: pytest.CaptureFixture[str]) -> set[Metric]:
    """What the product publishes: lines of its logs as CloudWatch reads them, and the watch's."""
    call = Call(
        stage="dev",
        task="part-class",
        version="1.0.0",
        sha256="0" * 64,
        release="one",
        revision=1,
        instance="i",
        trace_id="t",
        model=None,
    )
    usage = Usage(input_tokens=9, output_tokens=3, usd=0.1)
    response = ModelResponse(text="{}", model="m", usage=usage)
    answer = Answer(response=response, output={}, problem=None)
    write_json_lines(call_line(call, "ok", seconds=0.2, answer=answer, problem=None))
    reporter = LogsAndMetrics(cast(CloudWatchClient, None), "dev")
    reporter.moved("part-class", "1.0.0", "1.1.0", 2)

    async def refuse() -> None:
        refusals = Refusals("dev")
        refusals.add()
        refusals.say()

    asyncio.run(refuse())
    for action in Action:
        decision = Decision(action=action, code="code", reason="reason")
        handler._log(decision, "dev", trigger=None, revision=None)
    lines = capsys.readouterr().out.splitlines()
    read = {
        Metric(datum.namespace, datum.name, tuple(sorted(datum.dimensions)))
        for line in lines
        for datum in metrics_in(line)
    }
    measured = SimpleNamespace(
        carried=SimpleNamespace(version="1.0.0", threshold=0.8), score=0.9, margin=0.1
    )
    run = SimpleNamespace(task="part-class", active=measured, readings=[measured])
    namespace = aws_names.metric_namespace()
    watched = {
        Metric(namespace, str(datum["MetricName"]), tuple(d["Name"] for d in datum["Dimensions"]))
        for datum in metric_data(cast(MonitorRun, run), "dev")
    }
    return read | watched
