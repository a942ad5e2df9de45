"""The service over real HTTP: real prompts, the real SDK against a small real server."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from prompt_hub.service.http import MAX_BODY_BYTES
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.serving import FIELDS, RUN, Running, unstarted


def test_a_record_is_answered_with_the_active_prompt(running: Running) -> None:
    status, answer, _ = running.run("part-class", FIELDS)

    assert status == 200
    carried = running.release.tasks["part-class"].version("1.1.0")
    assert carried is not None
    usage = answer.pop("usage")
    trace_id = answer.pop("trace_id")
    assert answer == {
        "output": {"part_class": "resistor"},
        "task": "part-class",
        "version": "1.1.0",
        "sha256": carried.sha256,
        "release": "checkout",
        "model": "openai:small",
        "valid": True,
    }
    assert (usage["input_tokens"], usage["output_tokens"]) == (41, 6)
    assert len(trace_id) == 32
    assert "RC0603FR-0710KL" in running.provider.asked[0]["messages"][-1]["content"]


def test_the_same_process_answers_with_another_version_after_the_pointer_moved(
    running: Running,
) -> None:
    before = running.get("/v1/tasks")[1]
    running.move("part-class", "1.0.0")
    after = running.get("/v1/tasks")[1]

    assert before["instance"] == after["instance"]
    assert [entry["version"] for entry in before["tasks"]] == ["1.1.0"]
    assert [item["version"] for item in after["tasks"]] == ["1.0.0"]
    assert after["tasks"][0]["source"] == "ledger"
    assert running.run("part-class", FIELDS)[1]["version"] == "1.0.0"
    # The two versions differ in their system line, and that is what the model was sent.
    assert running.provider.asked[0]["messages"][0]["content"].startswith(
        "You classify electronic parts.\n"
    )


def test_fields_that_do_not_fit_are_named(running: Running) -> None:
    status, answer, _ = running.run("part-class", {"part_number": 7, "colour": "red"})
    assert status == 422
    assert answer["error"]["code"] == "invalid_fields"
    assert answer["error"]["fields"] == [
        {"field": "colour", "problem": "is not a field of this task"},
        {"field": "part_number", "problem": "must be a string, is a number"},
        {"field": "title", "problem": "is missing"},
    ]
    assert running.provider.asked == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "not_json"),
        ("{", 400, "not_json"),
        (b"\xff\xfe", 400, "not_json"),
        ('{"fields": {"a": 1, "a": 2}}', 400, "not_json"),
        ('{"fields": {"a": NaN}}', 400, "not_json"),
        ("[" * 100_000, 400, "not_json"),
        *(
            ('{"fields": {"title": ' + "[" * depth + "]" * depth + "}}", 400, "not_json")
            for depth in (59, 260, 300, 960)
        ),
        ("[]", 422, "no_fields"),
        ("{}", 422, "no_fields"),
        ('{"fields": []}', 422, "no_fields"),
        ('{"fields": {}, "version": "1.0.0"}', 422, "no_fields"),
        (" " * (MAX_BODY_BYTES + 1), 413, "body_too_large"),
    ],
)
def test_a_body_that_is_not_one_is_refused_in_words(
    running: Running, body: str | bytes, status: int, code: str
) -> None:
    found, answer, _ = running.post("/v1/tasks/part-class/run", body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert answer["trace_id"]


def unserved(capsys: pytest.CaptureFixture[str]) -> list[JsonObject]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [line for line in lines if line["event"] == "call_unserved"]


def calls(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [line for line in lines if line["event"] == "prompt_call"]


def test_an_unknown_task_is_told_which_there_are(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer, _ = running.run("part-clas", FIELDS)
    assert status == 404
    assert answer["error"]["tasks"] == ["brand", "part-class"]
    assert unserved(capsys) == [], "callers would fill the log with names that they make up"


def test_a_task_with_nothing_active_says_so(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer, headers = running.run("brand", {"manufacturer": "Yageo Corporation"})
    assert (status, answer["error"]["code"]) == (503, "not_active")
    assert headers["Retry-After"]
    (line,) = unserved(capsys)
    assert line.pop("time")
    assert line == {
        "event": "call_unserved",
        "outcome": "not_active",
        "stage": "dev",
        "task": "brand",
        "release": "checkout",
        "trace_id": answer["trace_id"],
    }


def test_what_the_ledger_has_active_and_the_image_lacks_is_said(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.ledger.move(VersionRef(version="0.9.0", sha256="gone"), "brand")
    try:
        deadline = time.monotonic() + 5
        while not running.get("/v1/tasks")[1]["refused"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        status, answer, headers = running.run("brand", {"manufacturer": "Yageo Corporation"})
        assert (status, answer["error"]["code"]) == (503, "not_carried")
        (line,) = unserved(capsys)
        assert (line["outcome"], line["trace_id"]) == ("not_carried", answer["trace_id"])
        assert "brand 0.9.0 is active in dev" in answer["error"]["message"]
        assert "release checkout" in answer["error"]["message"]
        assert headers["Retry-After"]
        # It was ready before, and the other task is answered.
        assert running.get("/readyz")[0] == 200
        assert running.run("part-class", FIELDS)[0] == 200
    finally:
        running.ledger.forget("brand")


def test_an_unknown_path_is_answered_in_the_same_form(running: Running) -> None:
    status, answer = running.get("/v2/tasks")
    assert (status, answer["error"]["code"]) == (404, "no_such_path")
    status, _, headers = running.send(urllib.request.Request(running.url + RUN))
    assert (status, headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("not json", "the answer is not JSON"),
        ('{"part_class": "banana"}', '"banana" is not one of'),
        ("[]", "not a JSON object"),
        ('{"part_class": ' + "[" * 300 + "]" * 300 + "}", "values nested more than 50 deep"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_a_bad_gateway(
    running: Running, says: str, reason: str
) -> None:
    running.provider.says = says
    status, answer, _ = running.run("part-class", FIELDS)
    assert (status, answer["error"]["code"]) == (502, "invalid_output")
    assert reason in answer["error"]["message"]


def test_a_model_that_refuses_is_unavailable_with_a_time_to_retry(running: Running) -> None:
    running.provider.status = 401
    status, answer, headers = running.run("part-class", FIELDS)
    assert (status, answer["error"]["code"]) == (503, "model_unavailable")
    assert "HTTP 401" in answer["error"]["message"]
    assert "refused" not in answer["error"]
    assert headers["Retry-After"] == "5"


def test_a_refusals_words_stand_in_the_log_and_not_in_the_answer(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.provider.status = 400
    message = f"Part {FIELDS['part_number']} is not allowed for this model"
    running.provider.refusal = {"error": {"message": message, "code": "not_allowed"}}
    status, answer, _ = running.run("part-class", FIELDS)
    assert (status, answer["error"]["code"]) == (503, "model_unavailable")
    assert answer["error"]["message"].endswith("gave no answer: HTTP 400.")
    assert answer["error"]["refused"] is True
    (line,) = calls(capsys)
    assert line["problem"].endswith("HTTP 400: Part … is not allowed for this model (not_allowed).")


def test_a_slow_model_does_not_hold_the_caller_longer_than_the_limit(running: Running) -> None:
    running.provider.delay_seconds = 2
    started = time.monotonic()
    status, answer, _ = running.run("part-class", FIELDS)
    assert status == 503
    assert "within 0.7 s" in answer["error"]["message"]
    assert time.monotonic() - started < 1.9


def test_a_quota_that_is_used_up_is_told_as_one_and_at_once(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.provider.status, running.provider.retry_after = 429, "4"
    running.provider.refusal = {"error": {"message": "Rate limit reached", "code": "rate_limit"}}
    started = time.monotonic()
    status, answer, headers = running.run("part-class", FIELDS)
    assert time.monotonic() - started < 0.6, "it was waited for, though no answer could come"
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (
        503,
        "model_unavailable",
        "5",
    )
    assert answer["error"]["message"] == (
        "the model openai:small (alias 'catalogue-pinned') gave no answer: "
        "HTTP 429, and there is no time left to ask again."
    )
    (line,) = calls(capsys)
    assert "HTTP 429, and there is no time left to ask again: Rate limit" in line["problem"]


def test_a_callers_trace_is_kept(running: Running) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    _, answer, _ = running.run("part-class", FIELDS, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert answer["trace_id"] == trace
    root = "1-67891233-abcdef012345678912345678"
    _, answer, _ = running.run("part-class", FIELDS, X_Amzn_Trace_Id=f"Root={root};Sampled=1")
    assert answer["trace_id"] == root
    _, answer, _ = running.run("part-class", FIELDS, traceparent='"}evil')
    assert "evil" not in answer["trace_id"]


def test_the_log_has_one_line_a_call_and_no_fields(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.run("part-class", FIELDS)
    running.provider.says = '{"part_class": "RC0603FR-0710KL"}'
    running.run("part-class", FIELDS)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    calls = [line for line in lines if line["event"] == "prompt_call"]
    assert [line["outcome"] for line in calls] == ["ok", "invalid_output"]
    first = calls[0]
    assert first["gen_ai.request.model"] == "small"
    assert first["gen_ai.response.model"] == "small-model-2026-01-build-7"
    assert first["gen_ai.usage.input_tokens"] == 41
    assert (first["task"], first["version"], first["stage"]) == ("part-class", "1.1.0", "dev")
    served = {item["task"]: item["revision"] for item in running.get("/v1/tasks")[1]["tasks"]}
    assert first["revision"] == served["part-class"]
    assert "RC0603FR-0710KL" not in json.dumps(calls)


def test_health_and_readiness(running: Running) -> None:
    assert running.get("/healthz") == (200, {"ok": True})
    assert running.get("/readyz") == (200, {"ready": True})


def test_a_service_that_never_was_ready_says_what_its_image_lacks(built: Path) -> None:
    ledger = FakeLedger(activated="exec-1")
    ledger.move(VersionRef(version="0.9.0", sha256="gone"), "brand")
    answer = unstarted(built, ledger).get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "reason": "the image of release checkout does not carry what is active in dev: brand 0.9.0",
    }


def test_a_task_that_git_has_retired_is_gone(built: Path) -> None:
    client = unstarted(built, FakeLedger())
    answer = client.post("/v1/tasks/brand/run", json={"fields": {"manufacturer": "KEMET"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "retired")
    assert "brand is retired" in answer.json()["error"]["message"]
    assert "Retry-After" not in answer.headers
    assert client.get("/readyz").status_code == 200


def champions_of(built: Path) -> dict[str, VersionRef]:
    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    return {"part-class": carried.reference}


@pytest.mark.parametrize("task", ["part-class", "brand"])
def test_before_the_ledger_answers_nobody_says_what_is_active(built: Path, task: str) -> None:
    ledger = FakeLedger()
    ledger.table.away = True
    client = unstarted(built, ledger, champions=champions_of(built))
    answer = client.post(f"/v1/tasks/{task}/run", json={"fields": {}})
    # Of `brand` nothing is released: once the ledger answers, it may be active here all the same.
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        {
            "code": "not_active",
            "message": "the ledger has not answered yet: what is active in dev is not known",
        },
    )
    assert answer.headers["Retry-After"] == "5"
    assert client.post("/v1/tasks/brnad/run", json={"fields": {}}).status_code == 404


def test_a_pointer_that_the_image_lacks_shows_up_beside_what_is_served(running: Running) -> None:
    running.ledger.move(VersionRef(version="9.9.9", sha256="?"), "part-class", by="ann")
    deadline = time.monotonic() + 5
    while not (found := running.get("/v1/tasks")[1])["refused"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert found["refused"] == [{"task": "part-class", "version": "9.9.9", "sha256": "?"}]
    assert running.run("part-class", FIELDS)[1]["version"] == "1.1.0"
