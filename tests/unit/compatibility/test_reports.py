"""Reports of this tree on what the previous one has measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.compatibility.conftest import Hub
from tests.unit.compatibility.previous_tree import FOLDER, Copy, read_json


@pytest.mark.processes
def test_an_evaluation_is_reported_from_its_record(hub: Hub, tmp_path: Path) -> None:
    page, junit = tmp_path / "page.html", tmp_path / "junit.xml"
    hub("report", "evaluation", "part-class", "1.5.0", "--html", str(page), "--junit", str(junit))
    suite = ElementTree.fromstring(junit.read_text("utf-8"))
    names = {case.get("name") for case in suite.iter("testcase")}
    assert {"ERJ-3EKF1001V", "BAT54"} <= {str(name).split(" ")[0] for name in names}
    assert len([*suite.iter("failure")]) >= 4
    assert "resistor is not in the title" in ElementTree.tostring(suite, "unicode")
    text = page.read_text("utf-8")
    for message in ("BLOCK", "0.299", "part-judge", "small-model-2026-01"):
        assert message in text
    markdown = hub("report", "evaluation", "part-class", "1.1.0")
    assert "0.926" in markdown
    assert "1.0.0" in markdown


def test_the_catalogue_and_the_changelog_know_every_version(hub: Hub, tmp_path: Path) -> None:
    page = tmp_path / "catalogue.html"
    hub("report", "catalogue", "--html", str(page))
    changes = hub("report", "changelog")
    for number in range(5):
        assert f"1.{number}.0" in changes
    text = page.read_text("utf-8")
    for message in ("quarantined", "downgraded", "superseded", "archived", "blocked"):
        assert message in text


def test_two_versions_differ_as_they_did(previous: Copy, hub: Hub) -> None:
    message = json.loads(hub("diff", "part-class", "1.4.0", "1.5.0", "--json"))
    now = ("input", "expected", "answers")
    for example in message["examples"]:
        # Since 28 November 2026 both versions' answers stand beside what was always said.
        assert all(example.pop(name) is not None for name in now)
    assert message == read_json(FOLDER / "diff.json")


def test_the_page_of_a_run_is_made_from_its_file(hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "run.json"
    shutil.copy(FOLDER / "run-report.json", source)
    hub("report", "run", str(source))
    page = source.with_suffix(".html").read_text("utf-8")
    run = read_json(source)
    for step in run["steps"]:
        assert step["name"] in page
    for moment in run["timeline"]:
        assert moment["what"] in page
    (version,) = run["versions"]
    for message in (version["model"], version["page"], f"{version['score']:.3f}", "execution-4"):
        assert message in page
