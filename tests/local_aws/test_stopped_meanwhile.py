"""What people read when somebody stops the local AWS while a command works with it."""

from __future__ import annotations

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
