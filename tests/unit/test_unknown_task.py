"""A task that is not there is said in one sentence by every command, before anything is paid."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from tests.unit.building import RepositoryFolder

BY_ADA = ("--person", "Ada Lovelace", "--reason", "customers see wrong units")


@pytest.mark.parametrize(
    "words",
    [
        ["new", "connector", "--from", "part-clas"],
        ["validate", "part-clas"],
        ["validate", "--stamp", "part-clas"],
        ["evaluate", "part-clas"],
        ["evaluate", "part-class", "brand", "part-clas"],
        ["review", "part-clas"],
        ["promote", "promote", "part-clas"],
        ["promote", "archive", "part-clas", *BY_ADA],
        ["run", "part-clas", "in.csv", "out.jsonl"],
        ["report", "evaluation", "part-clas"],
        ["diff", "part-clas", "1.0.0", "candidate"],
    ],
    ids=" ".join,
)
def test_an_unknown_task_is_one_sentence_that_says_what_may_be_meant(
    words: list[str],
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    # No model is configured: a command that would ask one before it looks would say that instead.
    monkeypatch.delenv(aws_names.ENV_MODELS, raising=False)
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr() == (
        "",
        f"prompt-hub {words[0]}: there is no task 'part-clas' (known: brand, part-class). "
        "Did you mean 'part-class'?\n",
    )


def test_where_there_are_no_tasks_none_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts").mkdir()
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))
    assert main(["evaluate", "part-class"]) == ExitCode.USAGE
    assert "there is no task 'part-class' (known: none).\n" in capsys.readouterr().err
