"""Draw the dashboards of a running `make up`, as CloudWatch holds them, with the run's own metrics.

`make dashboards` writes `docs/images/dashboard-NAME.svg` for each. Everything comes from the API of
CloudWatch: GetDashboard, GetMetricData, Logs Insights. Nothing is made up: where a graph is empty,
it says whether nothing happened, or whether only AWS counts it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from docs.dashboard_svg import draw
from docs.dashboard_widgets import Found, Json, panels, span, within

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient

IMAGES = Path(__file__).parent / "images"
PERIOD = 60
"""Seconds: a run is short. CloudWatch's own override of the period does the same."""
_RANGE = re.compile(r"-PT(\d+)H")


def main() -> int:
    """Write the picture of every dashboard that the local AWS holds; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.dashboard_picture", description=__doc__)
    parser.add_argument("state", type=Path, help="folder of the local run, such as .local")
    parser.add_argument("--to", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--note", default="", help="what happened, in words, below each picture")
    arguments = parser.parse_args()
    from local_aws.stack import LocalStack

    stack = LocalStack(Path.cwd(), arguments.state.resolve())
    made = write(
        stack.alarms,
        stack.logs,
        to=arguments.to,
        prefix=f"{stack.installation}-",
        note=arguments.note,
    )
    print(*made, sep="\n")
    return 0 if made else 1


def write(
    metrics: CloudWatchClient, logs: CloudWatchLogsClient, *, to: Path, prefix: str, note: str
) -> list[Path]:
    """Draw each dashboard whose name begins with `prefix`; returns the files."""
    made = []
    to.mkdir(parents=True, exist_ok=True)
    for entry in metrics.list_dashboards(DashboardNamePrefix=prefix)["DashboardEntries"]:
        name = entry["DashboardName"]
        body: Json = json.loads(metrics.get_dashboard(DashboardName=name)["DashboardBody"])
        end = datetime.now(UTC)
        start = end - timedelta(hours=_hours(body))
        shown = panels(
            body, ask=_asking(metrics, start, end), find=_finding(logs, start, end), period=PERIOD
        )
        measured = span(shown)
        if measured is None:
            print(f"{name}: no metric has a value yet; `make up` first.", file=sys.stderr)
            continue
        first, last = measured[0], max(measured[1], measured[0] + PERIOD)
        notes = [
            "Drawn by make dashboards from what the API of CloudWatch answers on a local AWS."
            f" A point is one minute; CloudWatch opens it with {_hours(body)} hours"
            " and longer periods."
            f" {note}".rstrip(),
        ]
        picture = draw(within(shown, first, last), name=name, span=(first, last), notes=notes)
        path = to / f"dashboard-{name.removeprefix(prefix)}.svg"
        path.write_text(picture, encoding="utf-8")
        made.append(path)
    return made


def _hours(body: Json) -> int:
    """Return how many hours a dashboard opens with."""
    match = _RANGE.fullmatch(str(body.get("start", "")))
    return int(match[1]) if match else 3


def _asking(
    client: CloudWatchClient, start: datetime, end: datetime
) -> Callable[[list[Json]], list[Found]]:
    def ask(queries: list[Json]) -> list[Found]:
        answered = client.get_metric_data(
            MetricDataQueries=cast("list[MetricDataQueryTypeDef]", queries),
            StartTime=start,
            EndTime=end,
            ScanBy="TimestampAscending",
        )
        found = []
        for result in answered["MetricDataResults"]:
            if result["StatusCode"] not in {"Complete", "PartialData"}:
                reasons = [message["Value"] for message in result.get("Messages", [])]
                raise SystemExit(f"{result['Label']}: {'; '.join(reasons)}")
            times = [stamp.timestamp() for stamp in result["Timestamps"]]
            points = tuple(zip(times, result["Values"], strict=True))
            found.append(Found(result["Id"], result["Label"], points))
        return found

    return ask


def _finding(
    client: CloudWatchLogsClient, start: datetime, end: datetime
) -> Callable[[list[str], str], list[tuple[str, str]]]:
    def find(groups: list[str], query: str) -> list[tuple[str, str]]:
        asked = client.start_query(
            logGroupNames=groups,
            queryString=query,
            startTime=int(start.timestamp()),
            endTime=int(end.timestamp()),
        )
        while True:
            answered = client.get_query_results(queryId=asked["queryId"])
            if answered["status"] not in {"Scheduled", "Running"}:
                break
            time.sleep(0.5)
        rows = []
        for result in answered["results"]:
            row = {cell["field"]: cell["value"] for cell in result}
            rows.append((row["@timestamp"][11:16], row["@message"].strip()))
        return rows

    return find


if __name__ == "__main__":
    sys.exit(main())
