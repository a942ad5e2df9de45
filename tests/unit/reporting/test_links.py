"""Links out of a report: only where they can be known, and never with a secret."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_hub.cli import report
from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from prompt_hub.ledger.items import ScoreSample
from prompt_hub.reporting.evaluation import Links
from prompt_hub.reporting.formats.html import render as evaluation_page
from prompt_hub.reporting.links import links_of
from tests.unit.reporting.evaluations import Built, log, view_of
from tests.unit.reporting.history import COMMIT, TASK
from tests.unit.reporting.html import Reader

EXECUTION = "7b0c5f8e-5b7c-4f4e-9f57-0b8f2f1f4a11"
IN_CONSOLE = (
    "https://eu-west-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/prompt-hub/"
    f"executions/{EXECUTION}/timeline?region=eu-west-1"
)


@pytest.fixture
def clone(copied: Built, monkeypatch: pytest.MonkeyPatch) -> Built:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run(["git", "init", "--quiet", str(copied.root)], check=True)
    return copied


def commit_link(built: Built, remote: str) -> str | None:
    command = ["git", "-C", str(built.root), "config", "remote.origin.url", remote]
    subprocess.run(command, check=True)
    return links_of(built.root, built.record).commit


@pytest.mark.processes
@pytest.mark.parametrize(
    "remote",
    [
        "git@github.com:example/hub.git",
        "ssh://git@github.com/example/hub",
        "https://github.com/example/hub.git",
        "https://x-access-token:ghs_secret@github.com/example/hub",
    ],
)
def test_a_commit_leads_to_github(clone: Built, remote: str) -> None:
    assert commit_link(clone, remote) == f"https://github.com/example/hub/commit/{COMMIT}"


@pytest.mark.processes
@pytest.mark.parametrize(
    "remote",
    ["/srv/hub.git", "https://example.com/github.com/a/b", "https://github.com/a/b?x=1", ""],
)
def test_a_remote_elsewhere_is_no_link(clone: Built, remote: str) -> None:
    assert commit_link(clone, remote) is None


@pytest.mark.processes
def test_without_git_a_commit_is_no_link(clone: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_link(clone, "git@github.com:example/hub.git")
    monkeypatch.setenv("PATH", "")
    assert links_of(clone.root, clone.record).commit is None


@pytest.mark.processes
def test_an_execution_leads_to_the_console_of_its_region(
    clone: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = clone.record.model_copy(update={"execution": EXECUTION})
    assert links_of(clone.root, record).execution is None
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert links_of(clone.root, record).execution == IN_CONSOLE
    assert links_of(clone.root, clone.record).execution is None, "an execution of this machine"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert links_of(clone.root, record).execution is None, "a local AWS has no console"


def test_a_page_links_what_is_known_and_names_the_rest(copied: Built) -> None:
    view = view_of(copied)
    page = Reader(evaluation_page(view))
    assert all((a["href"] or "").startswith("#") for tag, a in page.elements if tag == "a")
    links = Links(IN_CONSOLE, IN_CONSOLE, "catalogue.html", {"1.2.0": "a.html", "1.0.0": "b.html"})
    page = Reader(evaluation_page(replace(view, links=links)))
    there = [
        a["href"] for tag, a in page.elements if tag == "a" and a["href"] and a["href"][0] != "#"
    ]
    # The champion's page stands beside its name, and in the history.
    assert there == ["catalogue.html", IN_CONSOLE, IN_CONSOLE, "a.html", "a.html", "b.html"]


@pytest.mark.processes
def test_catalogue_and_pages_are_written_beside_each_other(
    here: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(here, "1.0.0")
    log(here, "1.2.0")
    target = tmp_path / "pages" / "index.html"
    target.parent.mkdir()
    assert main(["report", "catalogue", "--html", str(target), "--pages"]) == ExitCode.OK
    names = sorted(path.name for path in target.parent.iterdir())
    assert names == ["index.html", "part-fields-1.0.0.html", "part-fields-1.2.0.html"]
    for path in target.parent.iterdir():
        text = path.read_text(encoding="utf-8")
        reader = Reader(text)
        reader.asks_nothing_of_a_network(text)
        files = {a["href"] for tag, a in reader.elements if tag == "a"}
        linked = {name for name in files if name and name[0] != "#"}
        assert linked | {path.name} == {*names}
    assert "index.html: " in capsys.readouterr().out


@pytest.mark.processes
def test_a_stages_measurements_are_shown(
    here: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Kept:
        def samples(self, task: str, limit: int) -> tuple[ScoreSample, ...]:
            assert (task, limit) == (TASK, report.MEASUREMENTS)
            times = ("2026-11-20T10:00:00.000Z", "2026-11-19T10:00:00.000Z")
            return tuple(
                ScoreSample(
                    task=task,
                    version="1.2.0",
                    score=0.81,
                    threshold=0.7,
                    n=40,
                    interval=(0.7, 0.9),
                    evaluation="a round",
                    at=at,
                )
                for at in times
            )

    monkeypatch.setattr(report, "ledger_of", lambda stage: {"dev": Kept()}[stage])
    target = tmp_path / "page.html"
    words = ["report", "evaluation", TASK, "--stage", "dev", "--html", str(target)]
    assert main(words) == ExitCode.OK
    assert "score watch, 2 measurements" in Reader(target.read_text(encoding="utf-8")).texts()
