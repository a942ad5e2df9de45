"""The smoke test from inside the stage's network: does the service serve this release?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from pydantic import BaseModel, JsonValue

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.ledger.items import Pointer
from prompt_hub.release.service_client import Client, UnreachableServiceError
from prompt_hub.repository.schema import Example

ASK_SECONDS = 90.0
"""A model on a small machine may take its time."""
SETTLE_SECONDS = 60.0
"""How long the service may take to follow the ledger before that is a failure."""
GIVE_UP_AFTER = 5
"""So many tasks without an answer, one after the other, mean that models are gone. Each takes up to
a minute, and whoever waits for this test gives it half an hour (`ecs_task.WAIT_SECONDS`)."""


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


def check_end(test: SmokeTest, code: int) -> None:
    """Raise `PromptHubError` unless the task that made `test` ended as `test` says.

    Another end means that it broke off, and that the result is of an earlier run.
    """
    if code != (ExitCode.OK if test.ok else ExitCode.BLOCKED):
        raise PromptHubError(
            f"the smoke test ended with exit code {code}.",
            hint="Look at the log of its task.",
            exit_code=ExitCode.UNEXPECTED,
        )


def smoke_test(
    client: Client,
    *,
    release: str,
    stage: str,
    pointers: Callable[[], Mapping[str, Pointer]],
    example_for: Callable[[Pointer], Example | None],
    sleep: Callable[[float], None] = time.sleep,
) -> SmokeTest:
    """Ask the service what it serves, wait until that is what the ledger says, try each task.

    `example_for` finds a labelled example that the active version takes; only the contract of the
    answer is looked at, not its score. None where a change of the input has left no example for it:
    the repair of that is another release, which this one must not be held up for.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    problems = _disagreements(client, stage, release, pointers())
    while problems and time.monotonic() < deadline:
        sleep(1.0)
        problems = _disagreements(client, stage, release, pointers())
    checks: list[TaskCheck] = []
    active, silent = sorted(pointers().items()), 0
    for task, pointer in active:
        if silent == GIVE_UP_AFTER:
            break
        check, has_answered = _check(client, task, pointer, example_for(pointer))
        checks.append(check)
        if has_answered is not None:
            silent = 0 if has_answered else silent + 1
    problems += [f"{check.task}: {check.said}" for check in checks if not check.ok]
    if left_out := len(active) - len(checks):
        problems.append(
            f"{count(left_out, 'task')} not asked, as {count(GIVE_UP_AFTER, 'task')} in a row had"
            " no answer"
        )
    return SmokeTest(
        release=release, stage=stage, ok=not problems, problems=problems, checks=checks
    )


def _disagreements(
    client: Client, stage: str, release: str, pointers: Mapping[str, Pointer]
) -> list[str]:
    try:
        response = client.ask("/v1/tasks")
    except UnreachableServiceError as error:
        return [error.message]
    served = response.json()
    if response.status != 200 or not isinstance(served, dict):
        return [f"GET /v1/tasks answered {response.status}: {served}"]
    # A name that leads to another stage would pass for this one, whose release is the same.
    if served.get("stage") != stage:
        return [f"stage {served.get('stage')} answers, not {stage}"]
    if served.get("release") != release:
        return [f"release {served.get('release')} answers, not {release}"]
    rows = served.get("tasks")
    if not isinstance(rows, list):
        return [f"GET /v1/tasks names no tasks: {served}"]
    found = {str(row.get("task")): row for row in rows if isinstance(row, dict)}
    problems = []
    for task, pointer in sorted(pointers.items()):
        row = found.get(task, {})
        if (row.get("version"), row.get("source")) != (pointer.version, "ledger"):
            problems.append(
                f"{task}: the ledger says {pointer.version}, the service serves "
                f"{row.get('version', 'nothing')} from {row.get('source', 'nowhere')}"
            )
    return problems


def _check(
    client: Client, task: str, pointer: Pointer, example: Example | None
) -> tuple[TaskCheck, bool | None]:
    """Try one task; returns also whether a model has answered, None where none was asked."""
    if example is None:
        message = f"not tried, no example fits the input of {pointer.version}"
        untried = TaskCheck(task=task, version=pointer.version, ok=True, said=message, seconds=0.0)
        return untried, None
    started = time.perf_counter()
    body: Mapping[str, JsonValue] = {}
    try:
        answer = client.ask(f"/v1/tasks/{task}/run", {"fields": example.input})
    except UnreachableServiceError as error:
        ok, message = False, error.message
    else:
        body = answer.object()
        ok = answer.status == 200 and body.get("valid") is True
        shown = body.get("output") if ok else body.get("error", answer.json())
        message = json.dumps(shown, ensure_ascii=False)
        message = message if ok else f"answered {answer.status}: {message}"
    check = TaskCheck(
        task=task,
        # A rollback in this very second is the ledger's right: the service says who answered.
        version=str(body.get("version", pointer.version)),
        ok=ok,
        said=message,
        seconds=round(time.perf_counter() - started, 3),
    )
    refusal = body.get("error")
    is_gone = isinstance(refusal, dict) and refusal.get("code") == "model_unavailable"
    # Of a balancer that answers for the service there is no JSON.
    return check, bool(body) and not is_gone
