"""The smoke test from inside the stage's network: does the service serve this release?"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException

from pydantic import BaseModel, JsonValue

from prompt_hub.ledger.items import Pointer
from prompt_hub.prompts.models import Example

ASK_SECONDS = 90.0
"""A model on a small machine may take its time."""
SETTLE_SECONDS = 60.0
"""How long the service may take to follow the ledger before that is a failure."""


class TaskCheck(BaseModel):
    """One task asked one of its own examples."""

    task: str
    version: str
    ok: bool
    said: str
    seconds: float


class SmokeTest(BaseModel):
    """What was asked and what came back; `problems` is empty when all is well."""

    release: str
    stage: str
    ok: bool
    problems: list[str]
    checks: list[TaskCheck]


class Client:
    """Speaks JSON with one service."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def get(self, path: str) -> tuple[int, JsonValue]:
        """Status and body; status 0 with the reason where nothing answered."""
        return self._send(urllib.request.Request(self._url + path))  # noqa: S310

    def post(self, path: str, body: Mapping[str, JsonValue]) -> tuple[int, JsonValue]:
        """Status and body; status 0 with the reason where nothing answered."""
        request = urllib.request.Request(  # noqa: S310
            self._url + path,
            data=json.dumps(body).encode("utf-8"),
            headers={"Content-Type": "application/json"},
        )
        return self._send(request)

    def _send(self, request: urllib.request.Request) -> tuple[int, JsonValue]:
        try:
            with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _readable(error.read())
        except (OSError, HTTPException, ValueError) as error:
            return 0, str(error)


def smoke_test(
    client: Client,
    *,
    release: str,
    stage: str,
    pointers: Callable[[], Mapping[str, Pointer]],
    examples: Mapping[str, Example],
    sleep: Callable[[float], None] = time.sleep,
) -> SmokeTest:
    """Ask the service what it serves, wait until that is what the ledger says, try each task.

    `examples` is one labelled example by task; only the contract of the answer is looked at, not
    its score.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    problems = _disagreements(client, release, pointers())
    while problems and time.monotonic() < deadline:
        sleep(1.0)
        problems = _disagreements(client, release, pointers())
    checks = [
        _check(client, task, pointer, examples[task])
        for task, pointer in sorted(pointers().items())
        if task in examples
    ]
    problems += [f"{check.task}: {check.said}" for check in checks if not check.ok]
    return SmokeTest(
        release=release, stage=stage, ok=not problems, problems=problems, checks=checks
    )


def _disagreements(client: Client, release: str, pointers: Mapping[str, Pointer]) -> list[str]:
    status, served = client.get("/v1/tasks")
    if status != 200 or not isinstance(served, dict):
        return [f"GET /v1/tasks answered {status}: {served}"]
    if served.get("release") != release:
        return [f"release {served.get('release')} answers, not {release}"]
    rows = served.get("tasks")
    if not isinstance(rows, list):
        return [f"GET /v1/tasks names no tasks: {served}"]
    found = {
        row["task"]: row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }
    problems = []
    for task, pointer in sorted(pointers.items()):
        row = found.get(task, {})
        if (row.get("version"), row.get("source")) != (pointer.version, "ledger"):
            problems.append(
                f"{task}: the ledger says {pointer.version}, the service serves "
                f"{row.get('version', 'nothing')} from {row.get('source', 'nowhere')}"
            )
    return problems


def _check(client: Client, task: str, pointer: Pointer, example: Example) -> TaskCheck:
    started = time.perf_counter()
    status, answer = client.post(f"/v1/tasks/{task}/run", {"fields": example.input})
    body = answer if isinstance(answer, dict) else {}
    # A rollback in this very second is the ledger's right: the service says which version it was.
    ok = status == 200 and body.get("valid") is True
    said = json.dumps(body.get("output") if ok else body.get("error", answer), ensure_ascii=False)
    return TaskCheck(
        task=task,
        version=str(body.get("version", pointer.version)),
        ok=ok,
        said=said if ok else f"answered {status}: {said}",
        seconds=round(time.perf_counter() - started, 3),
    )


def _readable(body: bytes) -> JsonValue:
    try:
        value: JsonValue = json.loads(body)
    except ValueError:
        return body[:500].decode("utf-8", "replace")
    return value
