"""What lies beside an output is there before the journal goes, which holds what was paid for."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from tests.unit.batch.repairing import REPAIR, local_manifests, take_back
from tests.unit.batch.running import ROWS, Model, Run
from tests.unit.building import RepositoryFolder


def _with_a_table(healthy: RepositoryFolder) -> None:
    metadata = "prompts/03-metadata/part-class.yaml"
    healthy.edit(metadata, "records:\n", "records:\n  formats: [jsonl, csv]\n")


@pytest.mark.parametrize("name", ["out.jsonl.csv", "out.jsonl.manifest.json"])
def test_what_cannot_be_written_beside_an_output_costs_no_second_question(
    run: Run,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    _with_a_table(healthy)
    beside = tmp_path / name
    beside.mkdir()
    assert run(*ROWS)[0] == ExitCode.USAGE
    assert f"{name} cannot be written" in capsys.readouterr().err
    beside.rmdir()
    code, lines = run(*ROWS)
    assert (code, len(lines), len(model.asked)) == (ExitCode.OK, 3, 3)
    assert beside.is_file()
    assert not (tmp_path / "out.jsonl.part").exists()


def test_a_run_that_cannot_be_listed_is_whole_and_not_to_be_run_again(
    run: Run,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    healthy.write(".prompt-hub/records", "a file where the list would be")
    code, lines = run(*ROWS)
    assert (code, len(lines), len(model.asked)) == (ExitCode.OK, 3, 3)
    told = capsys.readouterr().err
    assert "a repair will not find this run by itself: " in told
    assert "cannot be written: Not a directory. The output and its manifest are whole" in told
    assert "run the same command again" not in told
    assert (tmp_path / "out.jsonl.manifest.json").is_file()


def test_a_table_has_the_inputs_of_records_that_were_asked_and_failed(
    run: Run, model: Model, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    _with_a_table(healthy)
    model.nonsense_about = "BAT54"
    assert run(ROWS[0], "too,short\n")[0] == ExitCode.BLOCKED
    with (tmp_path / "out.jsonl.csv").open(encoding="utf-8", newline="") as stream:
        asked, refused = csv.DictReader(stream)
    assert [name for name in asked if name.startswith("input.")] == [
        "input.part_number",
        "input.title",
        "input.manufacturer",
    ]
    assert (asked["input.part_number"], asked["input.manufacturer"]) == ("BAT54", "Nexperia")
    # No model was asked about it: what came is no field, and has no column.
    assert (refused["input.part_number"], refused["record"]) == ("", "2")


def test_a_run_that_was_taken_up_does_not_say_how_long_the_calls_of_all_processes_took(
    run: Run, model: Model, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    one_by_one = ("--concurrency", "1")
    model.answers = 2
    assert run(*ROWS, options=one_by_one)[0] == ExitCode.NOT_MEASURED
    model.answers = 10**9
    assert run(*ROWS, options=one_by_one)[0] == ExitCode.OK
    [taken_up] = local_manifests(healthy, "1.1.0")
    assert (taken_up.spent.calls, taken_up.spent.seconds) == (3, None)
    take_back()
    capsys.readouterr()
    assert main([*REPAIR, "--dry-run"]) == ExitCode.OK
    assert "3 of 3 records by 1.1.0, about 3 calls, 44 tokens\n" in capsys.readouterr().err
    model.answers = len(model.asked) + 1
    repair = [*REPAIR, "--yes", *one_by_one]
    assert main(repair) == ExitCode.NOT_MEASURED
    model.answers = 10**9
    assert main(repair) == ExitCode.OK
    [repaired] = local_manifests(healthy, "1.0.0")
    assert (repaired.spent.calls, repaired.spent.seconds) == (3, None)


def test_a_run_of_one_process_says_how_long_it_took(
    run: Run, model: Model, healthy: RepositoryFolder
) -> None:
    run(*ROWS)
    take_back()
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    for version in ("1.1.0", "1.0.0"):
        [manifest] = local_manifests(healthy, version)
        assert manifest.spent.seconds is not None
        assert manifest.spent.seconds > 0
