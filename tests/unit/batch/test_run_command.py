"""`run_pipeline.py` from end to end: files in, files out, a model or a service on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.running import HEADER, ROWS, Model, Run
from tests.unit.building import RepositoryFolder


def test_every_line_says_what_went_in_what_came_out_and_what_answered(
    run: Run, model: Model, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(*ROWS)
    champion = healthy.repository.production("part-class")
    assert champion is not None
    assert code == ExitCode.OK
    assert lines[0] == {
        "record": 1,
        "input": {
            "part_number": "BAT54",
            "title": "Schottky diode 30 V 200 mA SOT-23",
            "manufacturer": "Nexperia",
        },
        "output": {"part_class": "diode"},
        "error": None,
        "usage": {"input_tokens": 10, "output_tokens": 5, "usd": None},
        "task": "part-class",
        "version": "1.1.0",
        "sha256": champion.sha256,
        "release": "execution-7",
        "model": "openai:small",
    }
    assert [line["output"] for line in lines[1:]] == [
        {"part_class": "transistor"},
        {"part_class": "resistor"},
    ]
    assert "manufacturer" not in cast(JsonObject, lines[1]["input"])
    captured = capsys.readouterr()
    assert "3 records, 3 answered, 0 failed" in captured.out
    assert "part-class 1.1.0" in captured.err
    assert "released in 02-production" in captured.err


def test_bad_rows_are_reported_with_their_line_and_do_not_stop_the_rest(
    run: Run, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(ROWS[0], "too,short\n", ",no part number,,\n", ROWS[2])
    assert code == ExitCode.BLOCKED
    assert [line["output"] is None for line in lines] == [False, True, True, False]
    assert lines[1]["error"] == "line 3: 2 cells, where the header has 4"
    assert lines[2]["error"] == "line 4: part_number is empty"
    assert {line["version"] for line in lines} == {"1.1.0"}
    assert "line 3: 2 cells, where the header has 4" in capsys.readouterr().err
    assert len(model.asked) == 2


def test_rows_that_hold_no_record_are_not_asked(
    run: Run, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [" , ,,\n", ROWS[0], ",,,\n", ",,,25.00\n", "Total,,,25.00\n", HEADER, ROWS[2]]
    code, lines = run(*rows)
    assert code == ExitCode.BLOCKED
    assert [line["record"] for line in lines] == [2, 5, 6, 7]
    assert [line["error"] for line in lines] == [
        None,
        "line 6: title is empty; it is a total ('Total')",
        "line 7: it is the header once more",
        None,
    ]
    assert len(model.asked) == 2
    words = capsys.readouterr().out
    assert "4 records, 2 answered, 2 failed, 3 rows without a value left out" in words


def test_a_limit_counts_records_and_no_blank_rows(run: Run, model: Model) -> None:
    rows = [",,,\n", ROWS[0], " \n", ROWS[1], ROWS[2]]
    code, lines = run(*rows, options=("--limit", "2"))
    assert code == ExitCode.OK
    assert [line["record"] for line in lines] == [2, 4]
    assert run(*rows, options=("--limit", "1"))[1] == lines[:1]
    assert [line["record"] for line in run(*rows)[1]] == [2, 4, 5]


def test_what_the_file_shows_is_said_in_the_summary(
    run: Run, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    row, header = ROWS[0].replace(",", ";"), HEADER.replace(",", ";")
    code, lines = run(row, header=header)
    assert (code, lines[0]["output"]) == (ExitCode.OK, {"part_class": "diode"})
    captured = capsys.readouterr()
    assert captured.out.endswith("read as separated by semicolons (its header says so)\n")
    run(row, header=header, options=("--json",))
    summary = json.loads(capsys.readouterr().out)
    assert summary["read_as"] == ["separated by semicolons (its header says so)"]
    assert summary["blank"] == 0


def test_settings_of_records_that_change_the_reading_set_a_journal_aside(
    run: Run,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model.answers = 1
    assert run(*ROWS, options=("--concurrency", "1"))[0] == ExitCode.NOT_MEASURED
    healthy.edit("prompts/03-metadata/part-class.yaml", "records:\n", "records:\n  comment: '#'\n")
    model.answers = 10**9
    assert run(*ROWS)[0] == ExitCode.OK
    assert "other mapping" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl.part.1").exists()


def test_two_columns_of_one_name_keep_both_values_in_the_line_of_an_error(
    run: Run, model: Model
) -> None:
    _, [line] = run("A,,7,8\n", header="MPN,Description,SKU,SKU\n")
    assert line["input"] == {"MPN": "A", "Description": "", "SKU": "7", "SKU (column 4)": "8"}


def test_an_answer_that_breaks_the_contract_is_an_error_of_its_record(
    run: Run, model: Model
) -> None:
    model.nonsense_about = "2N7002"
    code, lines = run(*ROWS)
    assert code == ExitCode.BLOCKED
    assert lines[1]["output"] is None
    assert "half a character" in str(lines[1]["error"])
    assert lines[2]["output"] == {"part_class": "resistor"}


def test_a_table_whose_columns_do_not_fit_is_refused_at_once(
    run: Run, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run("1,2\n", header="Number,Text\n")
    assert (code, lines) == (ExitCode.BLOCKED, [])
    message = capsys.readouterr().err
    assert "parts.csv: no column for the field 'part_number'" in message
    assert "map them in 03-metadata/part-class.yaml" in message
    assert not (tmp_path / "out.jsonl.part").exists()
    assert model.asked == []


def test_keys_that_do_not_fit_fail_their_own_record(run: Run, model: Model, tmp_path: Path) -> None:
    records, output = tmp_path / "parts.jsonl", tmp_path / "out.jsonl"
    good = '{"MPN": "BAT54", "Description": "Schottky diode"}\n'
    records.write_text('{"Number": 1}\n' + good)
    assert main(["run", "part-class", str(records), str(output)]) == ExitCode.BLOCKED
    bad, answered = (json.loads(line) for line in output.read_text().splitlines())
    assert "no column for the field 'part_number'" in bad["error"]
    assert answered["error"] is None


@pytest.mark.parametrize("name", ["parts.txt", "empty.csv", "wide.jsonl"])
def test_what_is_refused_leaves_no_journal(
    run: Run, model: Model, tmp_path: Path, name: str
) -> None:
    records = tmp_path / name
    records.write_bytes(b"" if name == "empty.csv" else "{}".encode("utf-32"))
    code = main(["run", "part-class", str(records), str(tmp_path / "out.jsonl")])
    assert code == (ExitCode.USAGE if name == "parts.txt" else ExitCode.BLOCKED)
    assert [path.name for path in tmp_path.glob("out*")] == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pipe", "cannot be the output: name a file of its own"),
        ("nowhere/out.jsonl", "there is no folder"),
        ("closed.jsonl", "closed.jsonl.part cannot be written"),
    ],
)
def test_a_place_where_no_output_can_be_is_a_sentence(
    run: Run,
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    reason: str,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "closed.jsonl.part").mkdir()
    records = tmp_path / "parts.csv"
    records.write_text(HEADER + ROWS[0])
    assert main(["run", "part-class", str(records), str(tmp_path / name)]) == ExitCode.USAGE
    assert reason in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo()


def test_an_output_that_is_a_circle_of_links_is_written_in_its_place(
    run: Run, model: Model, tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").symlink_to("out.jsonl")
    code, lines = run(ROWS[0])
    assert (code, len(lines)) == (ExitCode.OK, 1)


def test_a_field_that_may_be_null_is_read_as_text(
    run: Run, model: Model, healthy: RepositoryFolder
) -> None:
    kind, nullable = "manufacturer: {type: string}", "manufacturer: {type: [string, 'null']}"
    healthy.edit("prompts/00-templates/part-class.yaml", kind, nullable)
    healthy.stamp("part-class")
    healthy.promote("part-class")
    code, lines = run(*ROWS)
    assert code == ExitCode.OK
    assert cast(JsonObject, lines[0]["input"])["manufacturer"] == "Nexperia"


def test_an_outage_leaves_no_output_and_the_next_run_asks_only_for_the_rest(
    run: Run, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.answers = 1
    rows = (ROWS[0], "bad\n", *ROWS[1:])
    code, lines = run(*rows, options=("--concurrency", "1"))
    assert (code, lines) == (ExitCode.NOT_MEASURED, [])
    message = capsys.readouterr().out
    assert "2 without an answer" in message
    assert "run the same command again" in message
    model.answers = 10**9
    code, lines = run(*rows, options=("--concurrency", "1"))
    assert code == ExitCode.BLOCKED  # the bad row of the first run still counts
    assert [line["record"] for line in lines] == [1, 2, 3, 4]
    assert len(model.asked) == 3
    assert "4 records (2 finished before), 3 answered, 1 failed" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "out.jsonl",
        "out.jsonl.manifest.json",
        "parts.csv",
    ]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("sent", "code", "expected"),
    [(signal.SIGKILL, -signal.SIGKILL, ""), (signal.SIGINT, 130, "the same command goes on")],
)
def test_a_run_ended_in_the_middle_goes_on_where_it_was(
    run: Run, model: Model, tmp_path: Path, sent: signal.Signals, code: int, expected: str
) -> None:
    records, output = tmp_path / "parts.csv", tmp_path / "out.jsonl"
    rows = [f"PART-{number},Schottky diode 30 V 200 mA SOT-23,,\n" for number in range(30)]
    records.write_text(HEADER + "".join(rows), encoding="utf-8")
    model.seconds = 0.05
    door = Path(__file__).resolve().parents[3] / "pipeline_image" / "run_pipeline.py"
    command = [sys.executable, str(door), "part-class", str(records), str(output)]
    command += ["--concurrency", "2"]
    journal = tmp_path / "out.jsonl.part"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not journal.exists() or journal.read_bytes().count(b"\n") < 8:
            assert time.monotonic() < deadline, "the run does not get going"
            time.sleep(0.01)
        process.send_signal(sent)
        assert expected in process.communicate()[1]
    assert process.returncode == code
    assert not output.exists()
    ended, lines = run(*rows)
    assert ended == ExitCode.OK
    assert [line["record"] for line in lines] == list(range(1, 31))
    # Nothing is paid twice but what was in flight when the run was killed.
    assert 30 <= len(model.asked) <= 32


def test_a_changed_input_is_not_taken_up(
    run: Run, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.answers = 1
    run(*ROWS, options=("--concurrency", "1"))
    model.answers = 10**9
    code, lines = run(ROWS[1], ROWS[0], ROWS[2])
    assert code == ExitCode.OK
    assert [cast(JsonObject, line["input"])["part_number"] for line in lines] == [
        "2N7002",
        "BAT54",
        "RC0603FR-0710KL",
    ]
    assert "out.jsonl.part was of another run (other input): its 1" in capsys.readouterr().err
    assert b"BAT54" in (tmp_path / "out.jsonl.part.1").read_bytes()


def test_answers_under_another_mapping_are_not_mixed_in(
    run: Run, model: Model, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    model.answers = 1
    header = HEADER.replace("Brand", "Vendor")
    run(*ROWS, options=("--concurrency", "1"), header=header)
    healthy.edit("prompts/03-metadata/part-class.yaml", "[Brand]", "[Brand, Vendor]")
    model.answers = 10**9
    code, lines = run(*ROWS, header=header)
    assert code == ExitCode.OK
    assert cast(JsonObject, lines[0]["input"])["manufacturer"] == "Nexperia"
    assert "another run (other mapping)" in capsys.readouterr().err


def test_a_dead_model_is_not_asked_for_every_record(run: Run, model: Model) -> None:
    model.answers = 0
    code, _ = run(*(ROWS[0] for _ in range(50)), options=("--concurrency", "1"))
    assert code == ExitCode.NOT_MEASURED


def test_only_the_first_records_on_request(
    run: Run, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(*ROWS, options=("--limit", "2", "--json"))
    assert code == ExitCode.OK
    assert len(lines) == len(model.asked) == 2
    summary = json.loads(capsys.readouterr().out)
    assert summary["records"] == summary["answered"] == 2
    assert summary["version"] == "1.1.0"
    assert summary["source"] == "released in 02-production"


def test_an_unknown_task_is_a_sentence(
    run: Run, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "colour", str(tmp_path), str(tmp_path)]) == ExitCode.USAGE
    assert "there is no task 'colour' (known: brand, part-class)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "ending", "code"),
    [
        ("parts.txt", HEADER, "the ending '.txt' is not one of", ExitCode.USAGE),
        ("parts.csv", "", "has no header that can be read", ExitCode.BLOCKED),
    ],
)
def test_an_input_that_cannot_be_read_leaves_nothing_behind(
    run: Run,
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    ending: str,
    code: ExitCode,
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    records, output = tmp_path / name, folder / "out.jsonl"
    records.write_text(text)
    assert main(["run", "part-class", str(records), str(output)]) == code
    assert ending in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_an_input_of_no_known_kind_keeps_what_an_earlier_run_has_finished(
    run: Run, model: Model, tmp_path: Path
) -> None:
    records, journal = tmp_path / "parts.txt", tmp_path / "out.jsonl.part"
    records.write_text(HEADER)
    journal.write_text("the journal of another run\n")
    command = ["run", "part-class", str(records), str(tmp_path / "out.jsonl")]
    assert main(command) == ExitCode.USAGE
    assert journal.read_text() == "the journal of another run\n"


def test_the_input_is_never_overwritten(
    run: Run, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "parts.csv"
    records.write_text(HEADER)
    assert main(["run", "part-class", str(records), str(records)]) == ExitCode.USAGE
    assert records.read_text() == HEADER
    assert "cannot be the output" in capsys.readouterr().err


@pytest.mark.parametrize("by_stage", [False, True])
def test_nothing_that_lies_beside_an_output_is_written_over_the_input(
    run: Run,
    model: Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    by_stage: bool,
) -> None:
    records, other = tmp_path / "parts.csv", tmp_path / "out.manifest.json"
    records.write_text(HEADER + ROWS[0])
    other.symlink_to(records)
    of_stage = ["--stage", "dev"] if by_stage else []
    for name, beside in (("parts", records), ("out", other)):
        command = ["run", "part-class", str(records), str(tmp_path / name), *of_stage]
        assert main(command) == ExitCode.USAGE
        reason = f"{name} cannot be the output, as {beside.name} beside it is the input"
        assert reason in capsys.readouterr().err
    assert records.read_text() == HEADER + ROWS[0]
    assert model.asked == []


def test_an_evaluation_on_another_model_is_said_to_foresee_nothing(
    run: Run, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ROWS)[0] == ExitCode.OK
    said = capsys.readouterr().err
    assert "part-class 1.1.0 was evaluated on " in said
    assert ", and is asked on openai:small: what that costs is guessed from the text." in said
