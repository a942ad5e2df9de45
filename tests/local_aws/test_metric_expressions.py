"""GetMetricData with expressions, in a real emulator: searches, and arithmetic of dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local_aws.emulator import LocalAws

BEGAN = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
MINUTES = 5


@pytest.fixture(scope="module", autouse=True)
def data(aws: LocalAws) -> None:
    """Two versions of a task with scores in the first two minutes; another task; another set."""
    put(aws, "Score", 0.5, 0, Stage="dev", Task="maker", Version="1.0.0")
    put(aws, "Score", 0.75, 1, Stage="dev", Task="maker", Version="1.0.0")
    put(aws, "Score", 0.25, 1, Stage="dev", Task="maker", Version="1.1.0")
    put(aws, "Score", 0.1, 0, Stage="dev", Task="other", Version="1.0.0")
    put(aws, "Score", 0.9, 0, Stage="dev", Task="maker")
    put(aws, "Threshold", 0.8, 0, Stage="dev", Task="maker", Version="1.0.0")
    for minute, values in enumerate([(2, 4), (), (6,)]):
        for value in values:
            put(aws, "Used", value, minute, Table="t")
            put(aws, "All", 2 * value, minute, Table="t")


def put(aws: LocalAws, name: str, value: float, minute: int, **dimensions: str) -> None:
    aws.client("cloudwatch").put_metric_data(
        Namespace="Hub",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                "Timestamp": BEGAN + timedelta(minutes=minute, seconds=10),
                "Value": value,
            }
        ],
    )


def ask(aws: LocalAws, *queries: Mapping[str, object], **options: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=list(queries),
        StartTime=BEGAN,
        EndTime=BEGAN + timedelta(minutes=MINUTES),
        **{"ScanBy": "TimestampAscending", **options},
    )["MetricDataResults"]
    return found


def values(aws: LocalAws, *queries: Mapping[str, object]) -> dict[str, dict[int, float]]:
    """The values of each line, by its label and the minute."""
    return {
        result["Label"]: {
            int((stamp - BEGAN).total_seconds() // 60): value
            for stamp, value in zip(result["Timestamps"], result["Values"], strict=True)
        }
        for result in ask(aws, *queries)
    }


def stat(id_: str, name: str, statistic: str = "Sum") -> dict[str, object]:
    metric = {
        "Namespace": "Hub",
        "MetricName": name,
        "Dimensions": [{"Name": "Table", "Value": "t"}],
    }
    of_metric = {"Metric": metric, "Period": 60, "Stat": statistic}
    return {"Id": id_, "MetricStat": of_metric, "ReturnData": False}


def math(expression: str) -> dict[str, object]:
    return {"Id": "math", "Expression": expression, "Label": "math"}


SEARCH = 'SEARCH(\'{"Hub",Stage,Task,Version} MetricName="Score" Task="maker"\', \'Average\', 60)'


def test_a_search_finds_each_metric_of_exactly_these_dimensions(aws: LocalAws) -> None:
    label = "${PROP('Dim.Version')} of ${PROP('Dim.Task')}"
    assert values(aws, {"Id": "s", "Expression": SEARCH, "Label": label}) == {
        "1.0.0 of maker": {0: 0.5, 1: 0.75},
        "1.1.0 of maker": {1: 0.25},
    }


def test_lines_of_a_search_are_told_apart_where_its_label_does_not(aws: LocalAws) -> None:
    found = values(aws, {"Id": "s", "Expression": SEARCH, "Label": " "})
    assert set(found) == {"dev 1.0.0", "dev 1.1.0"}


def test_a_search_counts_and_orders_by_percentile(aws: LocalAws) -> None:
    calls = "SEARCH('{\"Hub\",Table} MetricName=\"Used\"', 'SampleCount', 300)"
    tail = 'SEARCH(\'{"Hub","Table"} "Table"="t" MetricName="Used"\', \'p50\', 60)'
    counted = ask(aws, {"Id": "s", "Expression": calls, "Label": "n"})
    assert sum(value for result in counted for value in result["Values"]) == 3
    assert values(aws, {"Id": "s", "Expression": tail, "Label": "n"}) == {"n": {0: 3, 2: 6}}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("used/PERIOD(used)", {0: 0.1, 2: 0.1}),
        ("FILL(used, 0)", {0: 6, 1: 0, 2: 6, 3: 0, 4: 0}),
        ("(60 * FILL(used,0)) / PERIOD(used)", {0: 6, 1: 0, 2: 6, 3: 0, 4: 0}),
        ("100 * (used / total)", {0: 50, 2: 50}),
        ("used + total - used", {0: 12, 2: 12}),
        # Nobody divides by nothing.
        ("total / (used - used)", {}),
        # Nobody ever published it: no zero is drawn for what is not counted.
        ("FILL(nothing, 0)", {}),
    ],
)
def test_arithmetic_is_that_of_the_lines_at_each_time(
    aws: LocalAws, expression: str, expected: dict[int, float]
) -> None:
    metrics = [stat("used", "Used"), stat("total", "All"), stat("nothing", "Nothing")]
    assert values(aws, math(expression), *metrics) == {"math": pytest.approx(expected)}


@pytest.mark.parametrize(
    "expression",
    [
        "ANOMALY_DETECTION_BAND(used, 2)",
        "used +",
        "unknown + 1",
        "1 + 1",
        'SEARCH(\'{"Hub",Table} MetricName="Used" OR Table="t"\', \'Sum\', 60)',
        "SEARCH('{\"Hub\",Table}', 'Sum', 60)",
    ],
)
def test_what_is_not_evaluated_here_is_an_error_of_its_own(aws: LocalAws, expression: str) -> None:
    (result,) = ask(aws, math(expression), stat("used", "Used"))
    assert result["StatusCode"] == "InternalError"
    assert "not evaluated here" in result["Messages"][0]["Value"] or expression == "1 + 1"
    assert result["Values"] == []


def test_the_newest_value_comes_first_unless_the_oldest_is_asked_for(aws: LocalAws) -> None:
    (newest_first,) = ask(aws, math("used * 1"), stat("used", "Used"), ScanBy="TimestampDescending")
    (oldest_first,) = ask(aws, math("used * 1"), stat("used", "Used"))
    assert newest_first["Timestamps"] == list(reversed(oldest_first["Timestamps"]))
    assert len(newest_first["Timestamps"]) == 2


def test_without_an_expression_the_emulator_answers_itself(aws: LocalAws) -> None:
    (result,) = ask(aws, {**stat("used", "Used"), "ReturnData": True})
    assert result["Values"] == [6, 6]
