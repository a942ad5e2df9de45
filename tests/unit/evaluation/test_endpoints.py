"""The same model at another endpoint: nothing that was measured elsewhere is remembered of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.evaluation.changes import has_changed
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.replay import replay
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import remembered_evaluation
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.judging import add_judge, sensible, use_judge
from tests.unit.judging import provider as judging_provider
from tests.unit.providers import ALIASES, FunctionProvider

TASK = "part-class"
ELSEWHERE = {"base_url": "https://elsewhere/v1"}


def at(alias: str = "catalogue-pinned", **endpoint: str) -> ModelAliases:
    """Return the aliases, one of them at another endpoint."""
    return ModelAliases(
        {
            model.alias: model.model_copy(update=endpoint) if model.alias == alias else model
            for model in ALIASES
        }
    )


def evaluate(
    folder: RepositoryFolder,
    provider: FunctionProvider,
    aliases: ModelAliases,
    say: Callable[[str], None] = lambda line: None,
) -> EvaluationRecord:
    evaluator = Evaluator(
        folder.repository,
        ModelClient(aliases, provider),
        FolderResults(folder.root / ".prompt-hub" / "results"),
        execution="e1",
        commit=COMMIT,
        say=say,
    )
    return asyncio.run(evaluator.evaluate(TASK))


@pytest.mark.parametrize(
    "endpoint", [ELSEWHERE, {"region": "us-east-1"}, {"api_version": "2024-10-21"}], ids="-".join
)
def test_a_verdict_is_not_remembered_of_the_same_model_elsewhere(
    healthy: RepositoryFolder, endpoint: dict[str, str]
) -> None:
    here, there = FunctionProvider(catalogue_answer), FunctionProvider(lambda _: "nonsense")
    assert evaluate(healthy, here, ALIASES).verdict.status is Status.PASS
    said: list[str] = []
    record = evaluate(healthy, there, at(**endpoint), said.append)
    assert (record.verdict.status, record.remembered) == (Status.BLOCK, False)
    assert "its answers came from another endpoint" in "\n".join(said)
    assert evaluate(healthy, there, at(**endpoint)).remembered


def test_the_endpoint_stands_in_no_record_but_that_which_is_remembered(
    healthy: RepositoryFolder,
) -> None:
    results = FolderResults(healthy.root / ".prompt-hub" / "results")
    provider = FunctionProvider(catalogue_answer)
    for _ in range(2):
        record = evaluate(healthy, provider, at(**ELSEWHERE))
        assert record.endpoints is None
        sealed = results.get(aws_names.evaluation_key("e1", TASK))
        assert sealed is not None
        assert "endpoints" not in json.loads(sealed)
    assert record.remembered
    kept = remembered_evaluation(results, record.digest)
    assert kept is not None
    assert kept.record.endpoints is not None
    assert "elsewhere" not in kept.text
    assert replay(healthy.repository, kept).record == kept.record


def test_an_alias_that_was_not_asked_may_move(healthy: RepositoryFolder) -> None:
    provider = FunctionProvider(catalogue_answer)
    evaluate(healthy, provider, ALIASES)
    assert evaluate(healthy, provider, at("catalogue-latest", **ELSEWHERE)).remembered


def test_a_judge_that_moved_grades_anew(healthy: RepositoryFolder) -> None:
    add_judge(healthy)
    use_judge(healthy)
    assert not evaluate(healthy, judging_provider(sensible), ALIASES).remembered
    assert not evaluate(healthy, judging_provider(sensible), at(**ELSEWHERE)).remembered


def test_a_verdict_of_before_records_knew_endpoints_is_remembered(
    healthy: RepositoryFolder,
) -> None:
    provider = FunctionProvider(catalogue_answer)
    record = evaluate(healthy, provider, ALIASES)
    results = FolderResults(healthy.root / ".prompt-hub" / "results")
    results.put(aws_names.verdict_key(record.digest), record.to_json())
    assert evaluate(healthy, provider, at(**ELSEWHERE)).remembered


def test_a_candidate_has_changed_with_the_endpoint_that_it_had_before(
    healthy: RepositoryFolder, tmp_path: Path
) -> None:
    shutil.copytree(healthy.root, tmp_path / "before")
    before = RepositoryFolder(tmp_path / "before")
    client = ModelClient(ALIASES, FunctionProvider(catalogue_answer))

    def changed(then: ModelAliases) -> bool:
        return has_changed(TASK, healthy.repository, before.repository, client, then)

    assert changed(at(**ELSEWHERE))
    assert not changed(at("catalogue-latest", **ELSEWHERE))
    assert not changed(ALIASES)


def test_a_released_version_of_which_nothing_would_be_asked_has_not_changed(
    healthy: RepositoryFolder,
) -> None:
    client = ModelClient(ALIASES, FunctionProvider(catalogue_answer))
    then = at("catalogue-latest", **ELSEWHERE)
    assert not has_changed("brand", healthy.repository, healthy.repository, client, then)
