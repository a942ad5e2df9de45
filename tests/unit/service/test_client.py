"""Asking the service: every answer has a status, and what is no answer is said in one sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import prompt_hub
from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.release.service_client import Client, UnreachableServiceError
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import serving


def asked(status: int, body: object) -> object:
    with serving(lambda path, sent: (status, body)) as url:
        response = Client(url, timeout=5.0).ask("/v1/tasks")
    assert response.status == status
    return response.json()


def test_an_answer_of_any_status_is_an_answer() -> None:
    assert asked(200, {"a": 1}) == {"a": 1}
    assert asked(503, {"error": {"code": "not_active"}}) == {"error": {"code": "not_active"}}
    assert asked(404, b"<html>not here</html>") == "<html>not here</html>"
    assert asked(200, b'{"score": NaN}') == '{"score": NaN}'


def test_only_an_object_is_an_object() -> None:
    with serving(lambda path, sent: (200, [1])) as url:
        assert Client(url, timeout=5.0).ask("/").object() == {}


def test_a_body_is_posted_to_its_path() -> None:
    def echo(path: str, sent: JsonObject) -> tuple[int, object]:
        return 200, {"path": path, "sent": sent}

    with serving(echo) as url:
        response = Client(url + "/", timeout=5.0).ask("/v1/x", {"fields": {"title": "10 kΩ"}})
    assert response.object() == {"path": "/v1/x", "sent": {"fields": {"title": "10 kΩ"}}}


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of something that takes connections and does not speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        threading.Thread(target=speak, daemon=True).start()
        yield server.getsockname()[1]


def test_what_does_not_speak_http_does_not_answer(stranger: int) -> None:
    with pytest.raises(UnreachableServiceError, match="/healthz does not answer: 220 mail"):
        Client(f"http://127.0.0.1:{stranger}", timeout=5.0).ask("/healthz")


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(PromptHubError, match="the address of the service is no address"):
        Client("file:///etc", timeout=1.0)


def test_the_end_of_a_line_is_no_part_of_a_token() -> None:
    with serving(lambda path, sent: (200, {})) as url:
        assert Client(url, timeout=5.0, token="head.body.seal\r\n").ask("/").status == 200


@pytest.mark.parametrize("odd", ["\n", "\r", "\0", "…"])
def test_a_token_that_no_header_can_carry_is_told_without_it(odd: str) -> None:
    with (
        serving(lambda path, sent: (200, {})) as url,
        pytest.raises(PromptHubError, match="at position 5 of 14") as error,
    ):
        Client(url, timeout=5.0, token=f"head{odd}body.seal").ask("/")
    assert "body" not in str(error.value)


def test_a_container_is_well_where_its_service_says_so(
    stranger: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda path, sent: (200, {"ok": path == "/healthz"})) as url:
        assert main(["health", "--port", url.rpartition(":")[2]]) == ExitCode.OK
    with serving(lambda path, sent: (503, {})) as url:
        assert main(["health", "--port", url.rpartition(":")[2]]) == ExitCode.BLOCKED
    assert "/healthz answers with HTTP 503." in capsys.readouterr().err
    assert main(["health", "--port", str(stranger)]) == ExitCode.BLOCKED
    assert "/healthz does not answer" in capsys.readouterr().err


@pytest.mark.processes
def test_the_health_check_starts_with_nothing_but_the_standard_library() -> None:
    process = subprocess.run(
        [sys.executable, "-S", "-m", "prompt_hub.cli", "health", "--port", "9"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(prompt_hub.__path__[0]).parent)},
    )
    assert "does not answer" in process.stderr
    assert process.returncode == ExitCode.BLOCKED
