"""What people read when the local AWS is stopped, or the disk full, while a command works."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from local_aws import __main__ as command
from local_aws.stack import LocalStack


@pytest.fixture(autouse=True)
def unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    def story(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    monkeypatch.setattr(command, "_print_story", story)
    monkeypatch.setattr(command, "isolate", lambda: None)


def test_a_sentence_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["up", "--state", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said == "\nlocal run failed: the local AWS was stopped meanwhile; `make up` goes on.\n"


def test_one_that_runs_and_does_not_answer_is_no_mistake_of_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalStack, "is_up", True)
    with pytest.raises(EndpointConnectionError):
        command.main(["up", "--state", str(tmp_path)])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_where_nothing_can_be_written_a_sentence_says_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    def story(*_: object) -> None:
        raise OSError(number, os.strerror(number), None)

    monkeypatch.setattr(command, "_print_story", story)
    assert command.main(["up", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"\nlocal run failed: {tmp_path} cannot be read or written: {os.strerror(number)};"
        " mend that and try again.\n"
    )


def test_another_fault_of_the_system_stays_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def story(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "gone")

    monkeypatch.setattr(command, "_print_story", story)
    with pytest.raises(FileNotFoundError):
        command.main(["up", "--state", str(tmp_path)])
