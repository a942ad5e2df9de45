"""An evaluation whose record can be made again."""

from __future__ import annotations

import asyncio

import pytest

from prompt_hub.core import aws_names
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.replay import ReplayError, replay
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import read_evaluation
from tests.unit.building import COMMIT, RepositoryFolder
from tests.unit.providers import Backend, FunctionProvider

TASK = "part-class"


class Evaluated:
    """An evaluation of the healthy repository, stored in a folder."""

    def __init__(self, folder: RepositoryFolder, answer: Backend, task: str = TASK) -> None:
        self.folder = folder
        results = FolderResults(folder.root / ".prompt-hub" / "results")
        evaluator = Evaluator(
            folder.repository,
            FunctionProvider(answer).caller(),
            results,
            execution="e1",
            commit=COMMIT,
            say=lambda line: None,
        )
        self.record = asyncio.run(evaluator.evaluate(task))
        self.path = folder.root / ".prompt-hub" / "results" / aws_names.evaluation_key("e1", task)
        self.details = self.path.with_suffix(".jsonl")

    def replayed(self) -> EvaluationRecord:
        """The record made again; raises `ReplayError`."""
        stored = read_evaluation(self.path)
        again = replay(self.folder.repository, stored).record
        assert again.to_json() == stored.text
        return again

    def changed(self) -> dict[str, str]:
        """What a replay names as changed, and how."""
        with pytest.raises(ReplayError) as caught:
            self.replayed()
        return {change.what: change.how for change in caught.value.changes}
