"""`prompt-hub console`: its port and its token, before anything is served."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names


@pytest.fixture(autouse=True)
def of_a_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(aws_names.ENV_STAGE, "dev")
    # A checkout in which commands have run has a folder of theirs, about which git is asked.
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["console", "--port", str(port)]) == 2
    message = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is not free" in message
    assert "0 is any that is free" in message


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_told(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["console", "--port", port]) == 2
    assert "between 0 (a free one) and 65535" in capsys.readouterr().err


def test_without_a_stage_there_is_nothing_to_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(aws_names.ENV_STAGE)
    assert main(["console"]) == 2
    assert "--stage is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("short", "5 characters"),
        ("é" * 40, "cannot hold"),
        ("a line of some other file\n" * 2, "no token of the console's"),
        ("a" * 20 + ";" + "b" * 20, "no token of the console's"),
        ("a" * 257, "no token of the console's"),
    ],
)
def test_a_token_that_could_be_guessed_or_fits_no_cookie_is_refused(
    tmp_path: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    assert main(["console", "--token-file", str(file)]) == 2
    message = capsys.readouterr().err
    assert reason in message
    assert text not in message


def test_a_token_that_others_may_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken" * 8, encoding="utf-8")
    file.chmod(0o644)
    assert main(["console", "--token-file", str(file)]) == 2
    assert f"{file} can be read by others" in capsys.readouterr().err
