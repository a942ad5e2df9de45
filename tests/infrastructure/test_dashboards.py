"""Dashboards show what the runtime publishes: each metric by its own name and dimensions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import pytest

from cdk_app.dashboards import VERDICT_LINE
from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import TASKS, Assembly, Json

SEARCH = re.compile(
    r"""SEARCH\('\{"([^"]+)",([^}]+)\} MetricName="([^"]+)" ([^']*)', '([^']+)', (\d+)\)"""
)


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
    graph = widgets(assembly, "dev-service")[f"{task}: calls of each version"]
    names = list(aws_names.CALL_DIMENSIONS)
    words = f'stage="dev" task="{task}"'
    assert searched(graph) == [
        ("PromptHub/Calls", names, "seconds", words, "SampleCount"),
        ("PromptHub/Calls", names, "contract_failed", words, "Sum"),
        ("PromptHub/Calls", names, "seconds", words, "p90"),
    ]


def test_a_stage_shows_cost_refusals_rollbacks_and_what_it_stands_on(assembly: Assembly) -> None:
    graphs = widgets(assembly, "dev-service")
    (cost,) = searched(graphs["US dollars of each task and version"])
    assert cost[2:] == ("usd", 'stage="dev"', "Sum")
    tokens = searched(graphs["Tokens of each task and version"])
    assert [item[2] for item in tokens] == [
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ]
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
    from decision import Action

    titles = widgets(assembly, "dev-service")
    shown_actions = {item[2]["action"] for item in shown(titles["Decisions of the rollback"])}
    assert shown_actions == {action.value for action in Action} - {Action.NOTHING.value}
