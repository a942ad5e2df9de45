"""Results of benchmarks: kept a line a run, shown on one page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.performance_page import write_page
from benchmarks.results import ROOT, Ratio, Recording, load, record

pytestmark = pytest.mark.processes

MARKS = "<!-- generated from benchmarks/results: do not edit -->"
END = "<!-- end of the generated part -->"
BROKEN_OFF = """\
import resource, sys
from pathlib import Path
from benchmarks.results import Ratio, Recording

recording = Recording("serve", Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # What is written stops in the middle.
recording.add([Ratio(name="second", value=1, limit=1, at_most=True)])
"""


def ratio(value: float, *, limit: float = 3.5, at_most: bool = False) -> Ratio:
    return Ratio(
        name="requests, times the tree before",
        value=value,
        limit=limit,
        at_most=at_most,
        measured=f"{value * 100:.0f}",
        beside="100",
        runs=5,
    )


@pytest.mark.parametrize(
    ("value", "at_most", "code"),
    [(3.5, False, 0), (3.49, False, 1), (3.5, True, 0), (3.51, True, 1), (float("nan"), True, 1)],
)
def test_a_missed_promise_ends_red_and_is_kept_all_the_same(
    tmp_path: Path, value: float, at_most: bool, code: int
) -> None:
    assert record("serve", [ratio(value, at_most=at_most)], tmp_path) == code
    (run,) = load(tmp_path)["serve"]
    assert run.ratios[0].kept == (code == 0)
    assert run.commit
    assert "cores" in run.machine


def test_runs_are_appended_and_read_back_as_they_were(tmp_path: Path) -> None:
    for value in (1.0, 4.0):
        record("serve", [ratio(value)], tmp_path)
    runs = load(tmp_path)["serve"]
    assert [run.ratios for run in runs] == [(ratio(1.0),), (ratio(4.0),)]


def test_what_others_record_during_a_run_stays(tmp_path: Path) -> None:
    ours, theirs = Recording("serve", tmp_path), Recording("serve", tmp_path)
    for recording, value in ((ours, 1.0), (theirs, 2.0), (ours, 3.0), (theirs, 4.0)):
        recording.add([ratio(value)])
    record("serve", [ratio(5.0)], tmp_path)
    ours.add([ratio(6.0)])

    values = [[each.value for each in run.ratios] for run in load(tmp_path)["serve"]]
    assert sorted(values) == [[1.0, 3.0, 6.0], [2.0, 4.0], [5.0]]


def test_a_run_that_is_broken_off_while_it_writes_loses_no_earlier_result(tmp_path: Path) -> None:
    record("serve", [ratio(1.0)], tmp_path)
    before = (tmp_path / "serve.jsonl").read_bytes()
    broken = subprocess.run(
        [sys.executable, "-c", BROKEN_OFF, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert broken.returncode != 0
    assert "File too large" in broken.stderr
    assert (tmp_path / "serve.jsonl").read_bytes() == before


def test_the_page_shows_the_newest_run_the_trend_and_what_was_not_measured(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for value in (1.0, 4.2):
        record("serve", [ratio(value)], results)
    page = tmp_path / "performance.md"
    page.write_text(f"# Performance\n\n{MARKS}\n\nold\n\n{END}\nafter\n", "utf-8")
    write_page(["loader", "serve"], page, results)
    text = page.read_text("utf-8")
    assert "old" not in text
    assert text.endswith(f"{END}\nafter\n")
    assert "## loader\n\nNot measured yet." in text
    newest, trend = text.split("By commit:")
    assert "4.2" in newest
    assert "≥ 3.5" in newest
    assert "MISSED" not in newest
    cells = trend.split(END)[0].strip().splitlines()[-1].strip("|").split("|")
    assert [cell.strip() for cell in cells] == ["requests, times the tree before", "1", "4.2"]


def test_a_run_of_some_sections_leaves_the_others_on_the_page(tmp_path: Path) -> None:
    results = tmp_path / "results"
    pause = Ratio(name="pause in ms", value=0.7, limit=1.0, at_most=True)
    record("serve", [ratio(2.0), pause], results)
    record("serve", [ratio(4.2)], results)
    page = tmp_path / "performance.md"
    page.write_text(f"{MARKS}\n\n{END}\n", "utf-8")
    write_page(["serve"], page, results)
    tables = page.read_text("utf-8").split("By commit:")[0].split("commit ")[1:]
    assert ["requests" in each for each in tables] == [True, False]
    assert "4.2" in tables[0]
    assert "pause in ms" in tables[1]
    assert "pause in ms" not in tables[0]
    trend = page.read_text("utf-8").split("By commit:")[1]
    assert ["pause in ms", "0.7", "—"] in [
        [cell.strip() for cell in line.strip("|").split("|")] for line in trend.splitlines()
    ]
