"""The smoke test against a small real server in place of the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRef
from prompt_hub.release import smoke_test as module
from prompt_hub.release.service_client import Client
from prompt_hub.release.smoke_test import GIVE_UP_AFTER, SmokeTest, check_end, smoke_test
from prompt_hub.repository.schema import Example

EXAMPLE = Example(id="1", input={"part_number": "2N7002"}, expected={"part_class": "transistor"})


@dataclass
class FakeService:
    """What the service is to say; a `tasks` answer is used up until the last one stays."""

    url: str = ""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    answer: tuple[int, dict[str, Any]] = (200, {})
    asked: list[Any] = field(default_factory=list)

    def next_tasks(self) -> dict[str, Any]:
        return self.tasks.pop(0) if len(self.tasks) > 1 else self.tasks[0]


def serving(version: str, *, release: str = "exec-1", source: str = "ledger") -> dict[str, Any]:
    return {
        "stage": "dev",
        "release": release,
        "tasks": [{"task": "part-class", "version": version, "source": source}],
    }


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService(
        tasks=[serving("1.1.0")],
        answer=(
            200,
            {"output": {"part_class": "transistor"}, "version": "1.1.0", "valid": True},
        ),
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, fake.next_tasks())

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            fake.asked.append((self.path, json.loads(self.rfile.read(length))))
            self.reply(*fake.answer)

        def reply(self, status: int, body: dict[str, Any]) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()


def outcome_of(
    url: str, example: Example | None = EXAMPLE, tasks: tuple[str, ...] = ("part-class",)
) -> SmokeTest:
    return smoke_test(
        Client(url, timeout=5.0),
        release="exec-1",
        stage="dev",
        pointers=lambda: {task: pointer_of(task) for task in tasks},
        example_for=lambda _: example,
        sleep=lambda _: None,
    )


def pointer_of(task: str) -> Pointer:
    return Pointer(
        task=task,
        active=VersionRef(version="1.1.0", sha256="x"),
        previous=None,
        frozen=False,
        revision=1,
        changed_by="pipeline",
        reason="",
        at="2026",
        release=ReleaseRef(release="exec-1", made_at="2026"),
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.0)


def test_a_stage_that_serves_the_release_passes(service: FakeService) -> None:
    found = outcome_of(service.url)
    assert found.ok
    assert found.problems == []
    assert [(check.task, check.version, check.ok) for check in found.checks] == [
        ("part-class", "1.1.0", True)
    ]
    assert service.asked == [("/v1/tasks/part-class/run", {"fields": {"part_number": "2N7002"}})]


@pytest.mark.parametrize(("ok", "code"), [(True, 1), (True, 137), (False, 0), (False, 3)])
def test_a_task_that_ended_otherwise_than_its_result_is_a_failure(ok: bool, code: int) -> None:
    test = SmokeTest(release="exec-1", stage="dev", ok=ok, problems=[], checks=[])
    check_end(test, 0 if ok else 1)
    with pytest.raises(PromptHubError, match=f"ended with exit code {code}"):
        check_end(test, code)


def test_a_version_that_no_example_fits_any_more_holds_up_nothing(service: FakeService) -> None:
    found = outcome_of(service.url, example=None)
    assert found.ok
    assert [check.said for check in found.checks] == [
        "not tried, no example fits the input of 1.1.0"
    ]
    assert service.asked == []


def test_it_waits_until_the_service_has_followed_the_ledger(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 60.0)
    service.tasks = [
        serving("1.0.0"),
        {"stage": "dev", "release": "exec-1", "tasks": []},
        serving("1.1.0"),
    ]
    assert outcome_of(service.url).ok


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ({**serving("1.1.0"), "stage": "prod"}, "stage prod answers, not dev"),
        (serving("1.1.0", release="exec-0"), "release exec-0 answers, not exec-1"),
        (serving("1.0.0"), "the ledger says 1.1.0, the service serves 1.0.0 from ledger"),
        (serving("1.1.0", source="snapshot"), "serves 1.1.0 from snapshot"),
        ({"stage": "dev", "release": "exec-1", "tasks": []}, "serves nothing from nowhere"),
        ({"stage": "dev", "release": "exec-1"}, "names no tasks"),
    ],
)
def test_a_service_that_disagrees_fails(
    service: FakeService, tasks: dict[str, Any], problem: str
) -> None:
    service.tasks = [tasks]
    found = outcome_of(service.url)
    assert not found.ok
    assert problem in found.problems[0]


def test_a_task_without_a_valid_answer_fails(service: FakeService) -> None:
    service.answer = (502, {"error": {"code": "invalid_output", "message": "not JSON"}})
    found = outcome_of(service.url)
    assert not found.ok
    assert "answered 502" in found.problems[0]
    assert "invalid_output" in found.problems[0]


@pytest.mark.parametrize(
    ("code", "asked"), [("model_unavailable", GIVE_UP_AFTER), ("invalid_output", 8)]
)
def test_models_that_are_gone_are_not_waited_for_once_more_for_each_task(
    service: FakeService, code: str, asked: int
) -> None:
    """Each takes a minute, and whoever waits for the test would lose its patience first."""
    service.answer = (503, {"error": {"code": code, "message": "no answer"}})
    found = outcome_of(service.url, tasks=tuple(f"task-{number}" for number in range(8)))
    assert not found.ok
    assert len(service.asked) == len(found.checks) == asked
    left_out = "3 tasks not asked, as 5 tasks in a row had no answer"
    assert (found.problems[-1] == left_out) is (asked < 8)


def test_a_service_that_is_not_there_fails() -> None:
    found = outcome_of("http://127.0.0.1:9")
    assert not found.ok
    assert found.problems[0] == (
        "http://127.0.0.1:9/v1/tasks does not answer: [Errno 111] Connection refused."
    )
    assert found.problems[1].startswith("part-class: http://127.0.0.1:9/v1/tasks/part-class/run")
