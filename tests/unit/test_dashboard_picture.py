"""Pictures of dashboards: what a body says, with the values that were recorded for it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import pytest

from docs.dashboard_svg import NOTHING, ONLY_ON_AWS, draw
from docs.dashboard_widgets import BodyError, Found, Graph, Json, Table, panels, span, within

BEGAN = 1_795_848_000.0
"""2026-11-28 06:40 UTC."""
SVG = "{http://www.w3.org/2000/svg}"


def minutes(*values: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Points by the minute after the beginning."""
    return tuple((BEGAN + 60 * minute, value) for minute, value in values)


def metric(title: str, *rows: list[object], **properties: object) -> Json:
    place = {"x": 0, "y": 1, "width": 12, "height": 5, "type": "metric"}
    content = {"view": "timeSeries", "title": title, "metrics": list(rows), **properties}
    return {**place, "properties": content}


SCORES = metric(
    "maker: score",
    [
        {
            "label": "${PROP('Dim.Version')}",
            "expression": 'SEARCH(\'{"PromptHub",Stage,Task} MetricName="Score"\', '
            "'Average', 900)",
            "period": 900,
        }
    ],
    ["PromptHub", "Threshold", "Stage", "dev", {"label": "threshold", "color": "#d62728"}],
    ["PromptHub/Calls", "moved", "stage", "dev", {"stat": "Maximum", "yAxis": "right"}],
    yAxis={"left": {"min": 0}, "right": {"min": 0, "label": "changed"}},
)
CALLS = metric(
    "Calls & <refusals>",
    ["PromptHub/Calls", "refused", "stage", "dev", {"label": "away", "stat": "Sum"}],
    annotations={"horizontal": [{"value": 3, "label": "too many", "color": "#aa0000"}]},
)
READS = metric(
    "Units a second",
    [{"label": "read", "expression": "used/PERIOD(used)"}],
    ["AWS/DynamoDB", "Consumed", "TableName", "t", {"id": "used", "visible": False, "stat": "Sum"}],
)
VERDICTS: Json = {
    "type": "log",
    "x": 0,
    "y": 6,
    "width": 24,
    "height": 5,
    "properties": {
        "title": "Verdicts",
        "query": "SOURCE '/prompt-hub/pipeline' | fields @message\n| filter @message like /^ok/",
    },
}
HEADING: Json = {
    "type": "text",
    "width": 24,
    "height": 1,
    "properties": {"markdown": "### Table **[ledger](https://console.example.com/x)**\nmore"},
}


class CloudWatch:
    """Answers with what was recorded, and keeps what it was asked."""

    def __init__(self, *recorded: Found) -> None:
        self.recorded = recorded
        self.queries: list[Json] = []
        self.searched: list[tuple[list[str], str]] = []

    def ask(self, queries: list[Json]) -> list[Found]:
        self.queries += queries
        ids = {query["Id"] for query in queries}
        return [found for found in self.recorded if found.id in ids]

    def find(self, groups: list[str], query: str) -> list[tuple[str, str]]:
        self.searched.append((groups, query))
        return [("06:41", "ok  maker 1.1.0: promoted, PASS"), ("06:40", "RED maker 1.0.0: no")]


def read(cloud: CloudWatch, *widgets: Json, period: int | None = 60) -> list[Any]:
    return panels({"widgets": list(widgets)}, ask=cloud.ask, find=cloud.find, period=period)


def picture(shown: Sequence[Any], *, until: float = 10) -> ET.Element:
    text = draw(shown, name="prompt-hub-dev", span=(BEGAN, BEGAN + 60 * until), notes=["A note."])
    return ET.fromstring(text)


def words(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def test_rows_become_queries_with_the_period_of_the_viewer() -> None:
    cloud = CloudWatch()
    read(cloud, SCORES)
    search, threshold, moved = cloud.queries
    assert search["Expression"] == (
        "SEARCH('{\"PromptHub\",Stage,Task} MetricName=\"Score\"', 'Average', 60)"
    )
    assert search["Label"] == "${PROP('Dim.Version')}"
    assert threshold["MetricStat"] == {
        "Metric": {
            "Namespace": "PromptHub",
            "MetricName": "Threshold",
            "Dimensions": [{"Name": "Stage", "Value": "dev"}],
        },
        "Period": 60,
        "Stat": "Average",
    }
    assert moved["Label"] == "moved"


def test_without_an_override_periods_are_those_of_the_dashboard() -> None:
    cloud = CloudWatch()
    read(cloud, SCORES, period=None)
    assert str(cloud.queries[0]["Expression"]).endswith("'Average', 900)")
    assert cloud.queries[1]["MetricStat"]["Period"] == 300  # type: ignore[index]


def test_what_is_hidden_is_asked_for_and_not_shown() -> None:
    cloud = CloudWatch(Found("row0", "read", minutes((0, 2))))
    (graph,) = read(cloud, READS)
    assert [(query["Id"], query["ReturnData"]) for query in cloud.queries] == [
        ("row0", True),
        ("used", False),
    ]
    assert [line.label for line in graph.lines] == ["read"]


def test_a_score_joins_up_over_its_own_period_and_a_count_does_not() -> None:
    cloud = CloudWatch(
        Found("row0", "1.0.0", minutes((0, 0.9), (10, 0.8))), Found("row1", "threshold", ())
    )
    scores = read(cloud, SCORES)
    assert [line.expected for line in scores[0].lines] == [900, 300]
    assert len(strokes(picture(scores), "#1f77b4")) == 1
    counted = read(CloudWatch(Found("row0", "away", minutes((0, 1), (1, 2), (10, 1)))), CALLS)
    assert counted[0].lines[0].expected == 60
    assert len(strokes(picture(counted), "#1f77b4")) == 1
    dots = [c for c in picture(counted).iter(f"{SVG}circle") if c.get("fill") == "#1f77b4"]
    assert len(dots) == 3


def strokes(root: ET.Element, color: str) -> list[ET.Element]:
    return [path for path in root.iter(f"{SVG}path") if path.get("stroke") == color]


def test_lines_have_the_colours_of_the_dashboard_or_of_cloudwatch() -> None:
    cloud = CloudWatch(
        Found("row0", "1.0.0", minutes((0, 0.9), (1, 0.9))),
        Found("row0", "1.1.0", minutes((0, 0.8), (1, 0.7))),
        Found("row1", "threshold", minutes((0, 0.75), (1, 0.75))),
    )
    root = picture(read(cloud, SCORES))
    assert [len(strokes(root, color)) for color in ("#1f77b4", "#ff7f0e", "#d62728")] == [1, 1, 1]
    assert {"1.0.0", "1.1.0", "threshold"} <= set(words(root))


def test_a_value_stands_where_its_time_and_its_axis_have_it() -> None:
    cloud = CloudWatch(
        Found("row0", "1.0.0", minutes((0, 0.0), (5, 0.5), (10, 1.0))),
        Found("row2", "moved", minutes((5, 1.0))),
    )
    root = picture(read(cloud, SCORES))
    dots = {
        color: [
            (float(c.get("cx", "")), float(c.get("cy", "")))
            for c in root.iter(f"{SVG}circle")
            if c.get("fill") == color
        ]
        for color in ("#1f77b4", "#ff7f0e")
    }
    (x0, y0), (x1, y1), (x2, y2) = dots["#1f77b4"]
    assert x1 == pytest.approx((x0 + x2) / 2)
    assert y1 == pytest.approx((y0 + y2) / 2)
    assert y2 < y0
    # Of the right axis, whose greatest value is at the top, too.
    assert dots["#ff7f0e"] == [(pytest.approx(x1), pytest.approx(y2))]
    assert "changed" in words(root)


def test_annotations_lie_at_their_value() -> None:
    root = picture(read(CloudWatch(Found("row0", "away", minutes((0, 1), (1, 2)))), CALLS))
    (mark,) = strokes(root, "#aa0000")
    assert mark.get("stroke-dasharray")
    assert "too many" in words(root)


def test_an_empty_graph_says_whether_only_aws_has_it() -> None:
    shown = read(CloudWatch(Found("row0", "away", ()), Found("used", "read", ())), CALLS, READS)
    assert [graph.of_aws for graph in shown] == [False, True]
    said = words(picture(shown))
    assert NOTHING in said
    assert ONLY_ON_AWS in said


def test_a_search_among_metrics_of_aws_is_one_of_aws() -> None:
    expression = "SEARCH('{\"AWS/DynamoDB\",TableName} MetricName=\"SystemErrors\"', 'Sum', 300)"
    graphs = read(CloudWatch(), metric("a", [{"expression": expression, "label": " "}]), SCORES)
    assert [graph.of_aws for graph in graphs] == [True, False]


def test_a_query_of_logs_is_a_table() -> None:
    cloud = CloudWatch()
    (table,) = read(cloud, VERDICTS)
    assert isinstance(table, Table)
    assert cloud.searched == [
        (["/prompt-hub/pipeline"], "fields @message | filter @message like /^ok/")
    ]
    assert {"06:41", "RED maker 1.0.0: no"} <= set(words(picture([table])))


def test_no_address_and_no_markup_of_a_heading_is_in_the_picture() -> None:
    shown = read(CloudWatch(Found("row0", "away", minutes((0, 1)))), HEADING, CALLS)
    root = picture(shown)
    assert "Table ledger" in words(root)
    assert "Calls & <refusals>" in words(root)
    assert "example.com" not in ET.tostring(root, encoding="unicode")


def test_nothing_leaves_the_picture_and_no_panel_lies_on_another() -> None:
    beside = {**CALLS, "x": 12}
    cloud = CloudWatch(Found("row0", "a very long label of a line " * 8, minutes((0, 1), (10, 3))))
    root = picture(read(cloud, SCORES, beside))
    width, height = (float(size) for size in root.get("viewBox", "").split()[2:])
    assert width == 1440
    frames = []
    for group in root.iter(f"{SVG}g"):
        x, y = map(float, group.get("transform", "")[10:-1].split())
        frame = group.find(f"{SVG}rect")
        assert frame is not None
        right, bottom = x + float(frame.get("width", "")), y + float(frame.get("height", ""))
        assert right <= width
        assert bottom <= height
        frames.append((x, right))
        for text in group.iter(f"{SVG}text"):
            assert 0 <= float(text.get("x", "")) <= float(frame.get("width", "")) + 12
    assert frames[0][1] <= frames[1][0]


def test_a_picture_begins_and_ends_with_what_was_measured() -> None:
    cloud = CloudWatch(
        Found("row0", "filled", minutes((-60, 0), (0, 0), (90, 0))),
        Found("row1", "seen", minutes((2, 1), (7, 1))),
    )
    row: list[object] = [{"expression": "FILL(x,0)", "label": "filled"}]
    graph = metric("g", row, ["PromptHub", "Score", "Stage", "dev", {}])
    shown = read(cloud, graph)
    first_and_last = (BEGAN + 120, BEGAN + 420)
    assert span(shown) == first_and_last
    (cut,) = within(shown, *first_and_last)
    assert isinstance(cut, Graph)
    assert cut.lines[0].points == ()
    assert span(read(CloudWatch(), CALLS)) is None


@pytest.mark.parametrize(
    "widget",
    [
        {**CALLS, "type": "alarm"},
        metric("number", view="singleValue"),
        metric("short", ["...", {"stat": "p90"}]),
        metric("short", [".", "Score", "Stage", "dev"]),
    ],
)
def test_a_form_that_ours_do_not_have_is_refused(widget: Json) -> None:
    with pytest.raises(BodyError):
        read(CloudWatch(), widget)
