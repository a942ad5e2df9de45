"""A run has the same name when its output is written anew; what is repaired is the output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prompt_hub.batch.backends import VersionInfo
from prompt_hub.batch.local_run import RECORDS_DIR, local_runs
from prompt_hub.batch.repair import ANSWERS, earlier_name, repair_folder, repair_name
from prompt_hub.batch.run_manifest import RunManifest
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from tests.unit.batch.repairing import (
    BY_ADA,
    REPAIR,
    RUINED,
    lines_of,
    local_manifests,
    output,
    take_back,
)
from tests.unit.batch.running import Model, Run
from tests.unit.building import RepositoryFolder

ONE_BY_ONE = ("--concurrency", "1")


def _undo_the_rollback() -> None:
    restore = ["promote", "downgrade", "part-class", "--to", "1.1.0", "--override", *BY_ADA]
    assert main(restore) == ExitCode.OK


def _outputs(folder: Path) -> list[str]:
    found = folder.glob("out-repaired*.jsonl")
    return sorted(path.name for path in found if not path.name.endswith(".changes.jsonl"))


@pytest.mark.parametrize("by_name", [False, True])
def test_an_output_that_was_written_anew_is_repaired_anew(
    bad_run: bytes,
    run: Run,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    by_name: bool,
) -> None:
    take_back()
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED  # a row that is none
    [old] = local_manifests(healthy, "1.1.0")
    before = {path: path.read_bytes() for path in tmp_path.glob("out-repaired*")}
    _undo_the_rollback()
    model.nonsense_about = "2N7002"
    run(*RUINED)
    assert output().read_bytes() != bad_run
    [new] = local_manifests(healthy, "1.1.0")
    assert new.run == old.run
    model.nonsense_about = ""
    take_back()
    named = ("--run", new.run[:12]) if by_name else ()
    capsys.readouterr()
    assert main([*REPAIR, "--yes", *named]) == ExitCode.BLOCKED
    assert "4 of 4 records by 1.1.0, about 3 calls" in capsys.readouterr().err
    # Both come out alike, and what the first one says of its changes stays.
    assert _outputs(tmp_path) == ["out-repaired-1.0.0-2.jsonl", "out-repaired-1.0.0.jsonl"]
    assert {path: path.read_bytes() for path in before} == before
    changes = lines_of(tmp_path / "out-repaired-1.0.0-2.changes.jsonl")
    assert [change["record"] for change in changes] == [1, 3, 3]
    asked = len(model.asked)
    assert main([*REPAIR, "--yes", *named]) == ExitCode.OK
    told = "was repaired already" if by_name else "no other run"
    assert told in capsys.readouterr().err
    assert len(model.asked) == asked


def test_the_same_output_written_again_is_repaired_already(
    bad_run: bytes, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    _undo_the_rollback()
    run(*RUINED)
    assert output().read_bytes() == bad_run
    take_back()
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    assert "no other run" in capsys.readouterr().err


def test_answers_of_an_open_repair_belong_to_the_output_that_it_began_with(
    bad_run: bytes, run: Run, model: Model, healthy: RepositoryFolder
) -> None:
    take_back()
    model.answers = len(model.asked) + 2
    assert main([*REPAIR, "--yes", *ONE_BY_ONE]) == ExitCode.NOT_MEASURED
    model.answers = 10**9
    _undo_the_rollback()
    run(*RUINED, options=("--limit", "1"))
    take_back()
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    [repair] = local_manifests(healthy, "1.0.0")
    assert (repair.records, repair.spent.calls) == (1, 1)


def _by(healthy: RepositoryFolder) -> VersionInfo:
    prompt = healthy.repository.version("part-class", "1.0.0")
    assert prompt is not None
    return VersionInfo(
        task="part-class",
        version="1.0.0",
        sha256=prompt.sha256,
        release="execution-7",
        model="openai:small",
    )


def _names(healthy: RepositoryFolder) -> tuple[RunManifest, str, str]:
    """The run, the name of its repair, and the one that it would have had before."""
    [old] = local_manifests(healthy, "1.1.0")
    by = _by(healthy)
    return old, repair_name(old, "1.1.0", by), earlier_name(old, "1.1.0", by)


def _begin_before_the_upgrade(healthy: RepositoryFolder, model: Model) -> Path:
    """Have an outage after one answer, under the name of before; return the journal."""
    model.answers = len(model.asked) + 1
    assert main([*REPAIR, "--yes", *ONE_BY_ONE]) == ExitCode.NOT_MEASURED
    model.answers = 10**9
    _, name, before = _names(healthy)
    repairs = healthy.root / ".prompt-hub" / "repairs"
    folder = (repairs / name).rename(repairs / before)
    journal = folder / f"{ANSWERS}.part"
    journal.write_text(journal.read_text("utf-8").replace(name, before), "utf-8")
    return journal


def test_a_repair_that_was_begun_before_outputs_were_told_apart_goes_on(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    take_back()
    _begin_before_the_upgrade(healthy, model)
    asked = len(model.asked)
    assert main([*REPAIR, "--yes", *ONE_BY_ONE]) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 2
    assert len(lines_of(tmp_path / "out-repaired-1.0.0.jsonl")) == 4
    assert local_manifests(healthy, "1.0.0")[0].run == _names(healthy)[2]
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    assert len(model.asked) == asked + 2


def test_what_was_begun_before_the_output_was_written_is_of_another_one(
    bad_run: bytes, model: Model, healthy: RepositoryFolder
) -> None:
    take_back()
    journal = _begin_before_the_upgrade(healthy, model)
    old, name, _ = _names(healthy)
    os.utime(journal, (0, old.ended.timestamp() - 1))
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 3
    assert local_manifests(healthy, "1.0.0")[0].run == name


def test_in_a_store_a_repair_of_before_goes_on_and_is_known_when_it_is_done(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    journal = _begin_before_the_upgrade(healthy, model)
    old, _, before = _names(healthy)
    # As if the output were an object: its repair has its answers there, too.
    store = healthy.root / RECORDS_DIR
    key = aws_names.run_key("part-class", old.run, "output.jsonl")
    (store / key).write_bytes(bad_run)
    part = store / aws_names.run_key("part-class", before, "part/00000/000001.jsonl")
    part.parent.mkdir(parents=True)
    journal.rename(part)
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 2
    [done] = local_manifests(healthy, "1.0.0")
    assert done.run == before
    assert main([*REPAIR, "--yes", "--run", old.run]) == ExitCode.OK
    assert "was repaired already" in capsys.readouterr().err
    # Where the output is written anew, what lies under that name is of the one before.
    other = old.json_lines.model_copy(update={"sha256": done.json_lines.sha256})
    anew = old.model_copy(update={"outputs": (other,)})
    by = _by(healthy)
    folder = repair_folder(local_runs(healthy.root), Path("work"), anew, "1.1.0", by)
    assert folder.name == repair_name(anew, "1.1.0", by)
