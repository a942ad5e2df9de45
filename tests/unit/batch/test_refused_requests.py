"""What becomes of records whose request the model refuses, and of those behind them."""

from __future__ import annotations

import json

import pytest

from prompt_hub.core.errors import ExitCode
from tests.unit.batch.running import ROWS, Model, Run
from tests.unit.building import RepositoryFolder


def test_a_record_whose_request_is_refused_has_a_line(run: Run, model: Model) -> None:
    """A run that has one would never end, and everything before it were paid for nothing."""
    model.refused = frozenset({"BAT54", "RC0603"})
    code, lines = run(*ROWS, options=("--concurrency", "1"))
    assert code == ExitCode.BLOCKED
    assert [bool(line["error"]) for line in lines] == [True, False, True]
    assert "gave no answer: HTTP 400: too long" in str(lines[0]["error"])


@pytest.mark.parametrize("count", [1, 3])
def test_records_that_are_all_refused_have_lines_where_an_example_is_answered(
    run: Run, model: Model, count: int
) -> None:
    model.refused = frozenset({"BAT54", "2N7002", "RC0603"})
    code, lines = run(*ROWS[:count])
    assert code == ExitCode.BLOCKED
    assert ["HTTP 400: too long" in str(line["error"]) for line in lines] == [True] * count
    assert len(model.asked) == 1, "an example of the task, once"


@pytest.fixture
def examples_away(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task's examples lie in a bucket that does not answer."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    reference = {
        "schema": "prompt-hub/examples@1",
        "uri": f"s3://bucket/examples/{'0' * 64}.jsonl",
        "sha256": "0" * 64,
        "size": 1,
        "count": 1,
    }
    healthy.write("prompts/01-examples/part-class.jsonl", json.dumps(reference) + "\n")


@pytest.mark.usefixtures("examples_away")
@pytest.mark.parametrize("refused", [frozenset[str](), frozenset({"BAT54", "2N7002", "RC0603"})])
def test_records_need_no_examples(run: Run, model: Model, refused: frozenset[str]) -> None:
    model.refused = refused
    code, lines = run(*ROWS)
    # Of what the model refuses nobody knows then whether the records are at fault.
    assert (code, len(lines)) == ((3, 0) if refused else (0, 3))


def test_a_model_that_refuses_everything_is_not_asked_for_long(run: Run, model: Model) -> None:
    many = [f"PART-{number},Schottky diode,,\n" for number in range(300)]
    model.refused = frozenset({"Part number:"})
    for _ in range(2):
        assert run(*ROWS) == (ExitCode.NOT_MEASURED, [])
    model.requests = 0
    # One after the other: an answer that comes late would tell that the others are at fault.
    code, lines = run(*ROWS, *many, options=("--concurrency", "1"))
    assert (code, lines) == (ExitCode.NOT_MEASURED, [])
    assert model.requests == 101, "an example is the last"
    model.refused = frozenset()
    code, lines = run(*ROWS, *many)
    assert code == ExitCode.OK
    assert len(model.asked) == len(lines) == 303


@pytest.mark.parametrize("concurrency", ["1", "16"])
def test_many_refused_in_a_row_end_with_the_run(run: Run, model: Model, concurrency: str) -> None:
    model.refused = frozenset({"PART-"})
    many = [f"PART-{number},Schottky diode,,\n" for number in range(250)]
    code, lines = run(*many, *ROWS, options=("--concurrency", concurrency))
    assert code == ExitCode.BLOCKED
    assert [bool(line["error"]) for line in lines] == [True] * 250 + [False] * 3


@pytest.mark.usefixtures("examples_away")
def test_without_examples_the_records_before_tell_that_the_model_answers(
    run: Run, model: Model
) -> None:
    model.refused = frozenset({"PART-"})
    many = [f"PART-{number},Schottky diode,,\n" for number in range(150)]
    code, lines = run(ROWS[0], *many, *ROWS[1:], options=("--concurrency", "1"))
    assert code == ExitCode.BLOCKED
    assert [bool(line["error"]) for line in lines] == [False] + [True] * 150 + [False] * 2


def test_what_a_refused_request_took_stands_in_its_line(run: Run, model: Model) -> None:
    model.refused = frozenset({"BAT54"})
    usage = {"prompt_tokens": 40, "completion_tokens": 6}
    model.refusal = (200, {"error": {"message": "too long", "code": 400}, "usage": usage})
    code, lines = run(*ROWS, options=("--concurrency", "1"))
    assert code == ExitCode.BLOCKED
    (refused,) = (line for line in lines if line["error"])
    assert refused["usage"] == {"input_tokens": 40, "output_tokens": 6, "usd": None}
