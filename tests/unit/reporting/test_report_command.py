"""`prompt-hub report`: which evaluation, which files; whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.ledger.items import ReleaseRef, VersionRef
from prompt_hub.ledger.transitions import Cause
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on
from tests.unit.reporting.evaluations import Built, log, refused
from tests.unit.reporting.history import TASK


@pytest.mark.processes
def test_every_file_that_is_named_is_written(
    here: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name for name in ("page.html", "junit.xml", "summary.md")]
    page, junit, markdown = map(str, paths)
    words = ["report", "evaluation", TASK, "--html", page, "--junit", junit]
    assert main([*words, "--markdown", markdown]) == ExitCode.OK
    message = capsys.readouterr().out
    for path, start in zip(paths, ("<!doctype html>", "<?xml", "### ✅ part-fields"), strict=True):
        assert path.read_text(encoding="utf-8").startswith(start)
        assert f"{path}: " in message


@pytest.mark.processes
def test_without_a_file_the_summary_is_printed(
    here: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "evaluation", TASK]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("### ✅ part-fields 1.3.0: PASS\n")


@pytest.mark.processes
def test_a_version_or_a_record_can_be_named(
    here: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(here, "1.0.0")
    assert main(["report", "evaluation", TASK, "1.0.0"]) == ExitCode.OK
    assert "### ✅ part-fields 1.0.0: PASS" in capsys.readouterr().out
    record = tmp_path / "kept.json"
    record.write_bytes(here.record_path.read_bytes())
    record.with_suffix(".jsonl").write_bytes(here.details_path.read_bytes())
    assert main(["report", "evaluation", TASK, "--record", str(record)]) == ExitCode.OK
    assert "part-fields 1.3.0" in capsys.readouterr().out


def test_a_record_of_something_else_is_refused(
    here: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    record = str(here.record_path)
    assert main(["report", "evaluation", "brand", "--record", record]) == ExitCode.USAGE
    assert "is about part-fields 1.3.0" in capsys.readouterr().err
    assert main(["report", "evaluation", TASK, "1.0.0", "--record", record]) == ExitCode.USAGE


def test_what_is_missing_is_a_sentence(
    here: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "evaluation", TASK, "7.0.0"]) == ExitCode.NOT_MEASURED
    assert "there is no evaluation of part-fields 7.0.0" in capsys.readouterr().err
    missing = str(tmp_path / "none.json")
    assert main(["report", "evaluation", TASK, "--record", missing]) == ExitCode.USAGE
    assert f"there is no record {missing}" in capsys.readouterr().err
    here.record_path.write_text("{", encoding="utf-8")
    assert main(["report", "evaluation", TASK]) == ExitCode.BLOCKED
    assert "found the end; expected a key in double quotes" in capsys.readouterr().err
    target = str(tmp_path / "no" / "folder" / "page.html")
    assert main(["report", "catalogue", "--html", target]) == ExitCode.USAGE
    assert "cannot be written" in capsys.readouterr().err


def test_catalogue_and_changelog_are_written(
    here: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, changes = tmp_path / "catalogue.html", tmp_path / "CHANGES.md"
    assert main(["report", "catalogue", "--html", str(page)]) == ExitCode.OK
    assert "All prompts" in page.read_text(encoding="utf-8")
    assert main(["report", "changelog", "--markdown", str(changes)]) == ExitCode.OK
    capsys.readouterr()
    assert main(["report", "changelog"]) == ExitCode.OK
    assert capsys.readouterr().out == changes.read_text(encoding="utf-8")


@pytest.mark.processes
def test_pages_are_written_of_every_evaluation_in_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = refused(tmp_path / "repository")
    log(built, "1.1.0")
    monkeypatch.setenv(aws_names.ENV_ROOT, str(built.root))
    page = tmp_path / "catalogue.html"
    assert main(["report", "catalogue", "--html", str(page), "--pages"]) == ExitCode.OK
    for version in ("1.1.0", "1.3.0"):
        file = f"part-fields-{version}.html"
        assert f'href="{file}"' in page.read_text(encoding="utf-8")
        assert version in (tmp_path / file).read_text(encoding="utf-8")


def test_the_catalogue_says_what_a_stage_serves(
    here: Built,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = ledger_on(FakeDynamoDB())
    ledger.seed(
        TASK,
        VersionRef(version="1.0.0", sha256="old"),
        previous=None,
        release=ReleaseRef(release="r-1", made_at="2026-11-03T08:00:00.000000Z"),
        cause=Cause(by="rollback", reason="1.2.0 is <below>", at="2026-11-03T09:30:00.000000Z"),
    )
    monkeypatch.setattr("prompt_hub.cli.report.ledger_of", {"dev": ledger}.__getitem__)
    page = tmp_path / "catalogue.html"
    assert main(["report", "catalogue", "--html", str(page), "--stage", "dev"]) == ExitCode.OK
    served = "dev serves 1.0.0: by rollback, 2026-11-03: 1.2.0 is &lt;below&gt;"
    assert served in page.read_text(encoding="utf-8")
    assert main(["report", "catalogue", "--html", str(page)]) == ExitCode.OK
    assert "serves" not in page.read_text(encoding="utf-8")
