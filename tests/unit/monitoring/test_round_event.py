"""The score watch asks the rollback Lambda to look at a task, and never fails for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from prompt_hub.monitoring.round_event import ask_for_rollback, connect


@contextmanager
def lambda_that_answers(status: int) -> Iterator[list[tuple[str, str | None, bytes]]]:
    """Lambda on loopback; what it was asked: path, kind of invocation, body."""
    asked: list[tuple[str, str | None, bytes]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["X-Amz-Invocation-Type"], body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield asked
    server.shutdown()
    server.server_close()


def test_the_event_names_the_task_only_and_is_not_waited_for() -> None:
    with lambda_that_answers(202) as asked:
        assert ask_for_rollback(connect(), "dev", "part-class")
    ((path, kind, body),) = asked
    assert path == "/2015-03-31/functions/prompt-hub-dev-rollback/invocations"
    assert kind == "Event"
    assert json.loads(body) == {"source": "prompt-hub.watch", "task": "part-class"}


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_call_that_fails_fails_no_round_and_is_said_aloud(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with lambda_that_answers(status) as asked:
        assert not ask_for_rollback(connect(), "dev", "part-class")
    assert 1 <= len(asked) <= 2
    said = capsys.readouterr().err
    assert "WARNING: prompt-hub-dev-rollback could not be asked to look at part-class" in said
