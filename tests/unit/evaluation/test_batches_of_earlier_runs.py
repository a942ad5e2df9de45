"""Batches that an earlier run has started and paid for, and whose answers nobody has taken yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.evaluation.batch_journal import BatchJournal
from prompt_hub.evaluation.cache import CACHE_DIR
from prompt_hub.gate.types import Status
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.in_batches import evaluate
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.llm.batch_server import batch_server

METADATA = "prompts/03-metadata/part-class.yaml"


@pytest.fixture
def folder(healthy: RepositoryFolder) -> RepositoryFolder:
    """One task with 40 examples in one look, and no champion."""
    return with_many_parts(healthy, 40, first_look=40)


def leave_open(folder: RepositoryFolder) -> Path:
    """Make of an evaluation one that was killed while it waited; returns its cache file."""
    (cache_file,) = (folder.root / CACHE_DIR / "part-class").glob("*[0-9a-f].jsonl")
    title = cache_file.read_text(encoding="utf-8").splitlines(keepends=True)[0]
    cache_file.write_text(title, encoding="utf-8")
    journal = cache_file.with_suffix(".batches.jsonl")
    events = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(line for line in events if '"over"' not in line), encoding="utf-8")
    for path in (folder.root / ".prompt-hub/results").rglob("*.json*"):
        path.unlink()
    return cache_file


def open_batches(cache_file: Path) -> list[str | None]:
    journal = BatchJournal(cache_file)
    journal.close()
    return [batch.id for batch in journal.open]


def test_what_an_earlier_run_has_paid_for_is_not_paid_from_this_ones_budget(
    folder: RepositoryFolder,
) -> None:
    with batch_server() as server:
        evaluate(folder, server)
        leave_open(folder)
        with_many_parts(folder, 60, first_look=60)
        folder.edit(METADATA, "gate: {", "gate: {budget: {calls: 20}, ")
        run = evaluate(folder, server)
    assert run.record.verdict.status is Status.PASS, run.reasons
    assert (sum(server.paid.values()), set(server.paid.values())) == (60, {1})


def test_a_fresh_run_leaves_a_batch_of_an_earlier_one_to_the_next(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        evaluate(folder, server)
        cache_file = leave_open(folder)
        fresh = evaluate(folder, server, fresh=True)
        assert open_batches(cache_file) == ["batch_1"]
        assert "earlier run" not in fresh.words
        assert len(server.batches) == 2
        with_many_parts(folder, 60, first_look=60)
        run = evaluate(folder, server)
    assert open_batches(cache_file) == []
    # What the fresh run has stored stays; the 20 that are new are asked, and nothing else.
    assert (sum(server.paid.values()), run.record.verdict.status) == (100, Status.PASS)
    assert run.record.candidate is not None
    assert run.record.candidate.cached == 40
