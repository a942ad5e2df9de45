"""The page of a run: whole, self-contained, safe with any text, honest with any numbers."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from pydantic import ValidationError

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from prompt_hub.reporting.pages import LONGEST_TEXT
from prompt_hub.reporting.run_model import RunReport
from prompt_hub.reporting.run_page import run_page, score_plot, stages
from prompt_hub.reporting.words import duration
from prompt_hub.repository.schema import JsonObject
from tests.unit.reporting.html import Reader
from tests.unit.reporting.runs import LOG, STEPS, WHY_RED, at, read, run


def test_the_page_tells_the_run() -> None:
    message = read(run()).texts()
    for name, seconds, _, _ in STEPS:
        assert name in message
        assert duration(seconds) in message
    assert "7 min 21 s" in message
    assert "10 of 10 steps ended as they should" in message
    assert "1 / 1 candidates promoted / blocked" in message
    assert "part-class: 1.1.0 → 1.0.0" in message
    assert "5.4 s from the first bad sample to the first good answer." in message
    assert "The restored version scores 0.900" in message
    assert (
        "threshold 0.850 · majority guess 0.250 · released version 0.900 · 40 examples" in message
    )
    assert "+16.8 s alarm: OK to ALARM, ScoreMargin is -0.375" in message
    assert "shop-category 1.1.0 is blocked" in message
    assert message.count(WHY_RED) == 2
    assert "“Better part classes”, from GitHub" in message
    assert "CommitMessage" not in message
    assert "1.1.0 quarantined" in message
    assert "expected-red" in message


def test_a_score_bar_has_its_marks_in_place() -> None:
    html = run_page(RunReport.model_validate(run()))
    first = html[html.index('aria-label="score 0.950') :].split("</svg>")[0]
    assert 'class="fill good" y="4" width="95.00"' in first
    assert 'class="baseline" x1="25.00" x2="25.00"' in first
    assert 'class="threshold" x1="85.00" x2="85.00"' in first
    blocked = html[html.index('aria-label="score 0.725') :].split("</svg>")[0]
    assert 'class="fill bad" y="4" width="72.50"' in blocked


def test_what_was_not_measured_has_no_bar() -> None:
    data = run()
    version = cast(list[JsonObject], data["versions"])[0]
    version |= {"score": None, "baseline": None, "verdict": "NOT_MEASURED"}
    html = run_page(RunReport.model_validate(data))
    bar = html[html.index('aria-label="score –, threshold 0.850, majority guess –') :]
    assert "fill" not in bar.split("</svg>")[0]
    assert "baseline" not in bar.split("</svg>")[0]


def test_what_cloudformation_did_in_a_row_is_one_line() -> None:
    (execution,) = RunReport.model_validate(run()).executions
    lines = {stage: [row.name for row in rows] for stage, rows in stages(execution)}
    assert lines["dev"] == ["4 actions of CloudFormation", "Activate", "SmokeTest", "Record"]
    assert lines["Evaluate"] == ["part-class", "shop-category"]
    message = read(run()).texts()
    assert "4 actions of CloudFormation Succeeded 22.5 s" in message
    assert "network.Deploy: Succeeded, 0.2 s, Stack network: CREATE_COMPLETE" in message


def test_a_failure_among_several_is_that_of_their_line() -> None:
    data = run()
    (execution,) = cast(list[JsonObject], data["executions"])
    bad = cast(list[JsonObject], execution["actions"])[9]
    bad |= {"status": "Failed", "summary": "Stack network: ROLLBACK_COMPLETE"}
    message = read(data).texts()
    assert "4 actions of CloudFormation Failed 22.5 s Stack network: ROLLBACK_COMPLETE" in message


def test_an_action_leads_to_its_log() -> None:
    links = [attributes["href"] for tag, attributes in read(run()).elements if tag == "a"]
    assert links == [LOG]


@pytest.mark.parametrize(
    "log", ["../../etc/passwd.log", "/tmp/a.log", "javascript:a.log", "a.html"]
)
def test_a_log_that_does_not_lie_beside_the_page_is_refused(log: str) -> None:
    data = run()
    (execution,) = cast(list[JsonObject], data["executions"])
    cast(list[JsonObject], execution["actions"])[0]["log"] = log
    with pytest.raises(ValidationError, match="log"):
        RunReport.model_validate(data)


def test_the_rollback_is_drawn_as_it_was_served() -> None:
    plot = score_plot(RunReport.model_validate(run()))
    assert plot is not None
    levels = [line for line in plot.lines if line.y1 == line.y2]
    # Good, bad, the version before as it was measured beside the bad one, and measured again.
    assert [line.tone for line in levels] == ["", "bad", "", ""]
    assert [round(line.x2 - after.x1, 9) for line, after in pairwise(levels)] == [0, 0, 0]
    heights = [line.y1 for line in levels]
    assert heights[1] > heights[2] > heights[3] > heights[0], "a higher score stands higher"
    limit = plot.thresholds[-1].y1
    assert heights[1] > limit > heights[2]
    assert [mark.number for mark in plot.marks] == [1, 2, 3, 4, 5]
    assert [mark.row for mark in plot.marks] == [0, 0, 1, 2, 0], "near each other, in rows"
    labels = [point.score.label for point in plot.points]
    assert labels == ["1.1.0: 0.950", "1.1.0: 0.475", "1.0.0: 0.900", "1.0.0: 0.925"]
    # The measurement from long before stands at the edge.
    assert plot.points[0].x == 0
    assert all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in plot.points)
    assert plot.end == "45.9 s after it"


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [{"at": at(380), "version": "1.1.0", "score": 0.9, "threshold": 0.85}],
        [{"at": at(380), "version": "1.0.0", "score": 0.1, "threshold": 0.85}],
    ],
)
def test_a_rollback_that_was_not_measured_is_not_drawn(samples: list[JsonObject]) -> None:
    data = run()
    cast(JsonObject, data["rollback"])["samples"] = [*samples]
    assert score_plot(RunReport.model_validate(data)) is None
    assert "1.1.0 → 1.0.0" in read(data).texts()


def test_a_lone_bad_measurement_is_drawn() -> None:
    data = run() | {"timeline": []}
    rollback = cast(JsonObject, data["rollback"])
    rollback["samples"] = cast(list[JsonObject], rollback["samples"])[1:2]
    plot = score_plot(RunReport.model_validate(data))
    assert plot is not None
    assert len(plot.points) == 1


def test_the_page_needs_no_network_no_script_and_little_room() -> None:
    html = run_page(RunReport.model_validate(run()))
    reader = Reader(html)
    assert not set(reader.tags) & {"script", "form"}
    reader.asks_nothing_of_a_network(html)
    assert len(html.encode()) < 60_000


def test_a_page_of_a_long_run_stays_small() -> None:
    data = run()
    steps, executions = (
        cast(list[JsonObject], data["steps"]),
        cast(list[JsonObject], data["executions"]),
    )
    for step in steps:
        step["detail"] = "x" * 50_000
    data["executions"] = [*executions] * 10
    html = run_page(RunReport.model_validate(data))
    assert len(html.encode()) < 300_000
    assert f"and {50_000 - LONGEST_TEXT:,} more characters" in html


def test_it_serves_dark_and_light_and_narrow_screens() -> None:
    html = run_page(RunReport.model_validate(run()))
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport" content="width=device-width' in html
    assert "max-width: 640px" in html
    light, dark = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    names = re.findall(r"--[a-z-]+", light)
    assert names
    assert sorted(names) == sorted(re.findall(r"--[a-z-]+", dark))


def test_a_run_that_broke_off_early_is_told_too() -> None:
    data = run() | {"versions": [], "timeline": [], "rollback": None, "pointers": []}
    data |= {"executions": [], "steps": [cast(list[JsonObject], data["steps"])[0]]}
    cast(list[JsonObject], data["steps"])[0]["status"] = "failed"
    message = read(data).texts()
    assert "0 of 1 step ended as it should" in message
    assert "The rollback" not in message
    assert "Pipeline executions" not in message


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3605, "60 min 05 s"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "run.json", tmp_path / "page.html"
    source.write_text(json.dumps(run()), encoding="utf-8")
    assert main(["report", "run", str(source), "--html", str(target)]) == ExitCode.OK
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert str(target) in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "run.json"]
    assert main(["report", "run", str(source)]) == ExitCode.OK
    assert (tmp_path / "run.html").read_bytes() == target.read_bytes()


def test_a_run_that_is_none_is_refused_with_the_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "run.json"
    source.write_text(json.dumps(run() | {"title": 7, "colour": "red"}))
    assert main(["report", "run", str(source)]) == ExitCode.BLOCKED
    message = capsys.readouterr().err
    assert "title: found 7" in message
    assert "the key 'colour'" in message
    source.write_text("{")
    assert main(["report", "run", str(source)]) == ExitCode.USAGE
    assert main(["report", "run", str(tmp_path / "none.json")]) == ExitCode.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
