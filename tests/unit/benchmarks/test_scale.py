"""The repository that `validate` is measured on is one that it finds nothing wrong with."""

from __future__ import annotations

from pathlib import Path

from benchmarks.scale.repository import make_repository
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.validation.check import check


def test_the_measured_repository_is_healthy_and_as_large_as_asked_for(tmp_path: Path) -> None:
    size = make_repository(tmp_path, 2, 40)
    repository = PromptRepository(tmp_path)
    tree, findings = check(repository)
    # A thousand examples a task are measured; these few are warned of.
    assert {each.problem.rule for each in findings} == {"gate-margin"}
    assert [len(repository.examples(task)) for task in tree.tasks] == [40, 40]
    assert size == sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl"))
