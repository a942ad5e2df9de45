"""What the pointer follower reports, and what becomes of it when nobody can be told."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.service.execution_log import log_line
from prompt_hub.service.metrics import QUIET_SECONDS, LogsAndMetrics

WANTED = VersionRef(version="2.0.0", sha256="x")


@dataclass
class FakeCloudWatch:
    """Keeps the metrics; out of reach while `away`."""

    asked: int = 0
    away: bool = False
    published: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        self.asked += 1
        if self.away:
            raise ConnectionError("no route to CloudWatch")
        assert Namespace == "PromptHub/Service"
        self.published += [
            (entry["MetricName"], {item["Name"]: item["Value"] for item in entry["Dimensions"]})
            for entry in MetricData
        ]


def test_a_ledger_that_cannot_be_followed_is_counted_for_its_stage() -> None:
    cloudwatch = FakeCloudWatch()
    LogsAndMetrics(cast(Any, cloudwatch), "dev").ledger_unreachable("no route")
    assert cloudwatch.published == [("LedgerUnreachable", {"Stage": "dev"})]


def test_many_refused_pointers_wait_for_an_unreachable_cloudwatch_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    cloudwatch = FakeCloudWatch(away=True)
    report = LogsAndMetrics(cast(Any, cloudwatch), "dev", clock=lambda: now)
    for number in range(20):
        report.pointer_refused(f"task-{number}", WANTED, "1.0.0")
    assert cloudwatch.asked == 1
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events.count("pointer_refused") == 20
    assert events.count("metric_not_published") == 1

    now, cloudwatch.away = QUIET_SECONDS, False
    report.pointer_refused("task-0", WANTED, "1.0.0")
    assert cloudwatch.published == [("PointerRefused", {"Stage": "dev"})]


def test_a_change_of_version_is_a_metric_and_what_a_start_reads_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = LogsAndMetrics(cast(Any, FakeCloudWatch()), "dev")
    report.moved("maker", None, "1.0.0", 1)
    report.moved("maker", "1.0.0", "1.1.0", 2)
    started, moved = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "_aws" not in started
    (directive,) = moved["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["stage", "task"]]
    assert [moved[name] for name in ("stage", "task", "moved")] == ["dev", "maker", 1]
    assert directive["Metrics"] == [{"Name": "moved", "Unit": "Count"}]


def test_cloudwatch_is_asked_once_and_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    config = LogsAndMetrics.connect("dev")._client.meta.config
    assert config.connect_timeout + config.read_timeout < 5
    assert config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("closed file")]
)
def test_a_log_that_cannot_be_written_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Full:
        def write(self, text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    monkeypatch.setattr(sys, "stdout", Full())
    log_line("pointer_moved", task="part-class")


def test_a_line_that_is_no_text_is_lost_and_the_next_one_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_line("pointer_refused", task="half a character: \ud83d")
    log_line("pointer_moved", task="grüße", reason=ValueError("as text"))
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["task"] == "grüße"
    assert line["reason"] == "as text"
