"""A copy of what the previous tree has left behind, and the commands of this one on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from tests.unit.compatibility.cloud import Cloud, running
from tests.unit.compatibility.previous_tree import MODELS, Copy, copied

Hub = Callable[..., str]
"""Runs a command, expects an exit code (0 by default) and returns what it printed."""


@pytest.fixture
def previous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copy]:
    """The previous tree's repository as this tree's commands find it; no model answers."""
    copy = copied(tmp_path / "repository")
    # Names of variables are a contract, too: they are in buildspecs and task definitions.
    monkeypatch.setenv("PROMPT_HUB_ROOT", str(copy.root))
    monkeypatch.setenv("PROMPT_HUB_MODELS", str(MODELS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(copy.root)
    yield copy
    # The scorer of another copy must be imported anew.
    sys.modules.pop("previous_tree_scorers", None)


@pytest.fixture
def hub(previous: Copy, capsys: pytest.CaptureFixture[str]) -> Hub:
    """The commands of this tree."""

    def run(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        ended = main(words)
        message = capsys.readouterr()
        assert ended == code, f"{words} ended with {ended}: {message.out}{message.err}"
        return message.out

    return run


@pytest.fixture
def cloud(previous: Copy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The stages of the previous tree, `dev` being the one that is meant."""
    stages = Cloud()
    with running(stages) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        monkeypatch.setenv("PROMPT_HUB_STAGE", "dev")
        monkeypatch.setenv("PROMPT_HUB_LEDGER_TABLE", "prompt-hub-dev-ledger")
        yield stages
