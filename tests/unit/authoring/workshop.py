"""A repository to make tasks in, and a scripted model to evaluate them with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.repository.rendering import render
from prompt_hub.repository.schema import JsonObject, Metadata, Prompt
from tests.unit.building import COMMIT, RepositoryFolder
from tests.unit.providers import FunctionProvider

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "imports"


@dataclass(frozen=True)
class Workshop:
    """The repository, and what an author does in it."""

    folder: RepositoryFolder

    def new(self, *words: str) -> int:
        """Run `prompt-hub new`."""
        return main(["new", *words])

    def take(self, *words: str) -> int:
        """Run `prompt-hub import`."""
        return main(["import", *words])

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the repository."""
        root = self.folder.root
        paths = [*(root / "prompts").rglob("*"), root / "prompt_registry.yaml"]
        return {str(path.relative_to(root)): path.read_bytes() for path in paths if path.is_file()}

    def evaluated(self, task: str) -> EvaluationRecord:
        """Evaluate a task on a model that gives every example's right answer."""
        repository = self.folder.repository
        prompt = repository.candidate(task)
        answers = {
            json.dumps(render(prompt, example.input)): example.expected
            for example in repository.examples(task)
        }

        def answer(messages: list[dict[str, str]]) -> JsonObject:
            return answers[json.dumps(messages)]

        evaluator = Evaluator(
            repository,
            FunctionProvider(answer).caller(),
            FolderResults(self.folder.root / ".prompt-hub" / "results"),
            execution="test",
            commit=COMMIT,
            say=lambda line: None,
        )
        return asyncio.run(evaluator.evaluate(task))


def take(workshop: Workshop, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Import fixtures under an alias that is configured, and return all that was noted."""
    files = [word if word[0] == "-" or word.isdecimal() else str(FIXTURES / word) for word in words]
    options = ("--model", "catalogue-pinned", "--json")
    assert workshop.take("imported", *files, *options) == ExitCode.OK
    captured = capsys.readouterr()
    assert captured.err == ""
    assert workshop.folder.errors() == []
    return [note["said"] for note in json.loads(captured.out)["notes"]]


def prompt_of(workshop: Workshop) -> Prompt:
    """Return the candidate that `take` made."""
    return workshop.folder.repository.draft("imported")


def metadata_of(workshop: Workshop) -> Metadata:
    """Return the metadata that `take` made."""
    return workshop.folder.repository.metadata("imported")
