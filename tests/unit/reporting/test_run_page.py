"""The page of a run: whole, self-contained, safe with any text, honest with any numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from prompt_hub.reporting.pages import LONGEST_TEXT
from prompt_hub.reporting.run_model import RunReport
from prompt_hub.reporting.run_page import run_page
from prompt_hub.reporting.words import duration
from prompt_hub.repository.schema import JsonObject
from tests.unit.reporting.html import Reader
from tests.unit.reporting.runs import STEPS, read, run


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
    assert f"and {50_000 - LONGEST_TEXT} more characters" in html


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
    assert "0 of 1 steps ended as they should" in message
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
