"""What becomes of a record that the model never answers, while it answers others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from tests.unit.batch.repairing import REPAIR, lines_of, take_back
from tests.unit.batch.running import ROWS, Model, Run
from tests.unit.building import RepositoryFolder

ONE_BY_ONE = ("--concurrency", "1")


def test_a_record_that_is_never_answered_has_an_error(
    run: Run, model: Model, tmp_path: Path
) -> None:
    """Else no run that has one would ever end, and the answers to all others would be lost."""
    model.silent_about = "2N7002"
    code, lines = run(*ROWS)
    assert code == ExitCode.BLOCKED
    assert [bool(line["error"]) for line in lines] == [False, True, False]
    assert "line 3: " in str(lines[1]["error"])
    assert "still thinking" in str(lines[1]["error"])
    assert not (tmp_path / "out.jsonl.part").exists()


def test_so_it_is_in_a_repair(
    bad_run: bytes, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    model.silent_about = "2N7002"
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    lines = lines_of(tmp_path / "out-repaired-1.0.0.jsonl")
    assert [bool(line["error"]) for line in lines] == [False, True, True, False]
    assert {line["version"] for line in lines} == {"1.0.0"}
    assert "nothing is written yet" not in capsys.readouterr().err


def test_what_is_answered_when_it_is_asked_once_more_is_an_answer(run: Run, model: Model) -> None:
    model.silent_about, model.silences = "2N7002", 1
    code, lines = run(*ROWS)
    assert (code, [line["error"] for line in lines]) == (ExitCode.OK, [None] * 3)


@pytest.mark.parametrize("answers", [2, 3], ids=["before", "between"])
def test_an_outage_around_it_makes_no_errors(run: Run, model: Model, answers: int) -> None:
    """The example is not answered before it is asked once more, or not any more after that."""
    model.silent_about, model.answers = "2N7002", answers
    assert run(*ROWS, options=ONE_BY_ONE) == (ExitCode.NOT_MEASURED, [])
    model.silent_about, model.answers = "", 10**9
    code, lines = run(*ROWS)
    assert (code, [line["error"] for line in lines]) == (ExitCode.OK, [None] * 3)


def test_without_an_example_nothing_tells_it_from_an_outage(
    run: Run, model: Model, healthy: RepositoryFolder
) -> None:
    model.silent_about = "2N7002"
    healthy.write("prompts/01-examples/part-class.jsonl", "")
    assert run(*ROWS) == (ExitCode.NOT_MEASURED, [])


def test_an_example_whose_answer_is_an_error_tells_nothing(
    run: Run, model: Model, healthy: RepositoryFolder
) -> None:
    """A broken prompt, or fields that a service does not take: no model may have been asked."""
    first = next(iter(healthy.repository.stream_examples("part-class")))
    model.silent_about, model.nonsense_about = "2N7002", str(first.input["part_number"])
    assert run(ROWS[1]) == (ExitCode.NOT_MEASURED, [])


def test_each_run_gets_on_where_many_are_never_answered(
    run: Run, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    model.silent_about = "PART-"
    never = [f"PART-{number},Schottky diode,,\n" for number in range(12)]
    rows = [each for part in never for each in (part, ROWS[0])]
    assert run(*rows, options=(*ONE_BY_ONE, "--json")) == (ExitCode.NOT_MEASURED, [])
    summary = json.loads(capsys.readouterr().out)
    assert (summary["answered"], summary["failed"], summary["unanswered"]) == (12, 10, 2)
    code, lines = run(*rows, options=ONE_BY_ONE)
    assert (code, sum(bool(line["error"]) for line in lines)) == (ExitCode.BLOCKED, 12)
