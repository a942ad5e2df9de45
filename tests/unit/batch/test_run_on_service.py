"""`prompt-hub run --service`: the running service answers, another version of it, or nobody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.running import ROWS, Run
from tests.unit.batch.servers import serving


def service(path: str, sent: JsonObject) -> tuple[int, object]:
    """The running service: 9.9.9 is active there, whatever this checkout has."""
    if path == "/v1/tasks":
        return 200, {"tasks": [{"task": "part-class", "version": "9.9.9", "sha256": "f" * 64}]}
    fields = cast(JsonObject, sent["fields"])
    if fields["part_number"] == "2N7002":
        error = {"code": "invalid_output", "message": "the answer is not JSON"}
        return 502, {"error": error, "valid": False}
    return 200, {
        "output": {"part_class": "diode"},
        "task": "part-class",
        "version": "9.9.9",
        "sha256": "f" * 64,
        "release": "execution-9",
        "model": "bedrock:large",
        "valid": True,
        "trace_id": "1",
        "usage": {},
    }


def test_the_running_service_answers_and_its_version_is_on_every_line(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(aws_names.ENV_MODELS, raising=False)
    with serving(service) as url:
        code, lines = run(*ROWS, options=("--service", url))
    assert code == ExitCode.BLOCKED
    assert lines[0]["output"] == {"part_class": "diode"}
    assert lines[0]["release"] == "execution-9"
    assert lines[0]["model"] == "bedrock:large"
    assert lines[0]["trace_id"] == "1"
    assert "trace_id" not in lines[1]
    assert lines[1]["error"] == "line 3: the answer is not JSON"
    assert {line["version"] for line in lines} == {"9.9.9"}
    assert f"served by {url}" in capsys.readouterr().err


def test_answers_of_the_service_are_kept_when_it_serves_another_version(run: Run) -> None:
    served, left = "9.9.9", 2

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        nonlocal left
        if path != "/v1/tasks":
            left -= 1
            if left < 0:
                return 503, {"error": {"message": "busy"}}
        status, body = service(path, sent)
        return status, json.loads(json.dumps(body).replace("9.9.9", served))

    with serving(respond) as url:
        options = ("--service", url, "--concurrency", "1")
        code, _ = run(*ROWS, options=options)
        assert code == ExitCode.NOT_MEASURED
        served, left = "9.9.8", 1  # a rollback
        code, lines = run(*ROWS, options=options)
    assert code == ExitCode.BLOCKED
    assert [line["version"] for line in lines] == ["9.9.9", "9.9.9", "9.9.8"]


def test_an_error_names_the_version_that_has_answered_last(run: Run) -> None:
    asked = 0

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        nonlocal asked
        status, body = service(path, sent)
        asked += path != "/v1/tasks"
        served = "9.9.9" if asked < 2 else "9.9.8"  # a rollback
        return status, json.loads(json.dumps(body).replace("9.9.9", served))

    with serving(respond) as url:
        code, lines = run(
            ROWS[0], ROWS[2], ROWS[1], options=("--service", url, "--concurrency", "1")
        )
    assert code == ExitCode.BLOCKED
    assert [line["version"] for line in lines] == ["9.9.9", "9.9.8", "9.9.8"]
    assert lines[2]["error"] == "line 4: the answer is not JSON"


def test_a_version_that_takes_other_fields_ends_the_run_and_none_of_its_records(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    left = 1

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        nonlocal left
        left -= path != "/v1/tasks"
        if left >= 0:
            return service(path, sent)
        _, body = service("/v1/tasks", {})
        if path != "/v1/tasks":
            return 422, {"error": {"code": "invalid_fields", "message": "title is not a field"}}
        return 200, json.loads(json.dumps(body).replace("9.9.9", "9.9.10").replace("f", "e"))

    with serving(respond) as url:
        options = ("--service", url, "--concurrency", "1")
        assert run(*ROWS[::2], options=options) == (ExitCode.NOT_MEASURED, [])
        assert "has moved to part-class 9.9.10, which takes other fields than 9.9.9" in (
            capsys.readouterr().err
        )
        assert '"error":null' in (tmp_path / "out.jsonl.part").read_text("utf-8").replace(" ", "")
        left = 10  # taken back
        code, lines = run(*ROWS[::2], options=options)
    assert (code, [line["error"] for line in lines]) == (ExitCode.OK, [None, None])


def test_fields_that_the_same_version_refuses_are_an_error_of_the_record(run: Run) -> None:
    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        if path == "/v1/tasks":
            return service(path, sent)
        return 422, {"error": {"code": "invalid_fields", "message": "title is too long"}}

    with serving(respond) as url:
        code, lines = run(*ROWS, options=("--service", url))
    assert (code, len(lines)) == (ExitCode.BLOCKED, 3)
    assert lines[0]["error"] == "line 2: title is too long"


@pytest.mark.parametrize(
    "refusal", [(503, {"error": {"message": "no model"}}), (429, b""), (502, b"<html>")]
)
def test_a_service_that_cannot_answer_is_an_outage(
    run: Run, refusal: tuple[int, object], capsys: pytest.CaptureFixture[str]
) -> None:
    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        return service(path, sent) if path == "/v1/tasks" else refusal

    with serving(respond) as url:
        code, lines = run(*ROWS, options=("--service", url))
    assert (code, lines) == (ExitCode.NOT_MEASURED, [])
    assert f"HTTP {refusal[0]}" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["over_quota", "overloaded"])
def test_a_service_that_is_busy_for_a_moment_is_waited_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", at_once)
    busy = 4

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        nonlocal busy
        if path == "/v1/tasks" or (busy := busy - 1) < 0:
            return service(path, sent)
        return 429, {"error": {"code": code, "message": "as many calls as it takes"}}

    with serving(respond) as url:
        ended, lines = run(*ROWS, options=("--service", url, "--concurrency", "1"))
    assert (ended, len(lines)) == (ExitCode.BLOCKED, 3)
    assert waited.count(1) == 4


@pytest.mark.parametrize("first", [1, 4])
def test_a_record_that_the_provider_refuses_is_an_error_of_its_own(run: Run, first: int) -> None:
    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        if path != "/v1/tasks" and str(cast(JsonObject, sent["fields"])["part_number"]) == "LONG":
            message = "the model small gave no answer: HTTP 400."
            return 503, {
                "error": {"code": "model_unavailable", "message": message, "refused": True}
            }
        return service(path, sent)

    with serving(respond) as url:
        code, lines = run(*["LONG,diode,,\n"] * first, *ROWS, options=("--service", url))
    assert code == ExitCode.BLOCKED
    assert len(lines) == first + 3
    assert all("HTTP 400" in str(line["error"]) for line in lines[:first])
    assert [line["error"] for line in lines[first::2]] == [None, None]


def test_a_service_that_is_not_there_is_said_at_once(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(service) as url:
        pass
    code, lines = run(*ROWS, options=("--service", url))
    assert (code, lines) == (ExitCode.NOT_MEASURED, [])
    assert "does not answer" in capsys.readouterr().err


def test_a_task_that_the_service_lacks_is_said_at_once(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda path, sent: (200, {"tasks": [{"task": "brand"}]})) as url:
        code, _ = run(*ROWS, options=("--service", url))
    assert code == ExitCode.USAGE
    assert "serves no task 'part-class' (brand)" in capsys.readouterr().err
