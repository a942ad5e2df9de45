"""promote_prompt.py by hand: promote, downgrade, archive, override."""

from __future__ import annotations

import asyncio
import json

import pytest

from prompt_hub import names
from prompt_hub.cli import main
from prompt_hub.errors import ExitCode
from prompt_hub.evaluate.evaluation import Evaluator
from prompt_hub.evaluate.results import results_from_environment
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.providers import FunctionProvider


@pytest.fixture
def folder(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    monkeypatch.setenv(names.ENV_ROOT, str(healthy.root))
    for name in (names.ENV_EXECUTION, names.ENV_RESULTS_BUCKET):
        monkeypatch.delenv(name, raising=False)
    return healthy


async def evaluated(folder: RepositoryFolder, answer: str = "") -> None:
    caller = FunctionProvider(
        (lambda _: {"part_class": answer}) if answer else catalogue_answer
    ).caller()
    evaluator = Evaluator(
        folder.repository,
        caller,
        results_from_environment(folder.root, {}),
        execution="local",
        commit=COMMIT,
        say=lambda line: None,
    )
    await evaluator.evaluate("part-class")


def released(folder: RepositoryFolder) -> str | None:
    return folder.repository.registry().tasks["part-class"].released


def test_promote(folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "promote", "part-class"]) == ExitCode.USAGE
    assert "eval_runner.py part-class" in capsys.readouterr().err
    asyncio.run(evaluated(folder))
    assert main(["promote", "promote", "part-class", "--json"]) == ExitCode.OK
    written = json.loads(capsys.readouterr().out)["files"]
    assert "prompts/99-archive/part-class/1.1.0.yaml" in written
    assert released(folder) == "1.2.0"
    assert folder.findings() == []


def test_a_stale_record_does_not_promote(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(evaluated(folder))
    folder.edit("prompts/01-examples/part-class.jsonl", "Diodes Incorporated", "Diodes Inc.")
    assert main(["promote", "promote", "part-class"]) == ExitCode.BLOCKED
    assert "examples of part-class changed" in capsys.readouterr().err
    assert released(folder) == "1.1.0"


def test_a_blocked_candidate_needs_a_named_override(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(evaluated(folder, "resistor"))
    assert main(["promote", "promote", "part-class"]) == ExitCode.BLOCKED
    assert released(folder) == "1.1.0"
    override = ["promote", "override", "part-class", "--person", "Ada Lovelace"]
    assert main([*override, "--reason", "short"]) == ExitCode.USAGE
    reason = "The labels of two examples are disputed; see the catalogue board."
    assert main([*override, "--reason", reason]) == ExitCode.OK
    assert folder.findings() == []
    asyncio.run(evaluated(folder, "resistor"))
    assert main(["promote", "promote", "part-class"]) == ExitCode.OK
    entry = folder.repository.registry().tasks["part-class"].versions["1.2.0"]
    assert entry.reason == "overridden by Ada Lovelace"
    assert folder.findings() == []


def test_downgrade_and_archive(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    downgrade = ["promote", "downgrade", "part-class", "--reason", "wrong units", "--to"]
    assert main([*downgrade, "0.1.0"]) == ExitCode.USAGE
    assert "archived: 1.0.0" in capsys.readouterr().err
    assert main([*downgrade, "1.0.0"]) == ExitCode.OK
    task = folder.repository.registry().tasks["part-class"]
    assert (task.released, task.versions["1.1.0"].state) == ("1.0.0", "downgraded")
    assert folder.findings() == []
    assert main(["promote", "archive", "part-class", "--reason", "retired"]) == ExitCode.OK
    assert released(folder) is None
    assert folder.repository.production("part-class") is None
    assert main(["promote", "archive", "part-class", "--reason", "again"]) == ExitCode.USAGE
    assert folder.findings() == []


def test_a_new_version_with_the_same_words_is_released_as_itself(folder: RepositoryFolder) -> None:
    folder.write(
        "prompts/00-templates/catalogue-role.txt",
        "You classify electronic parts for a catalogue.\n",
    )
    champion = folder.repository.production("part-class")
    assert champion is not None
    assert champion.sha256 == folder.repository.candidate("part-class").sha256
    asyncio.run(evaluated(folder))
    assert main(["promote", "promote", "part-class"]) == ExitCode.OK
    assert released(folder) == "1.2.0"
    assert folder.findings() == []
