"""Answers of a batch that the provider no longer has, that nobody can read, or may see."""

from __future__ import annotations

import pytest

from prompt_hub.gate.types import Status
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.in_batches import evaluate
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.llm.batch_server import Batch, BatchServer, batch_server

METADATA = "prompts/03-metadata/part-class.yaml"


@pytest.fixture
def folder(healthy: RepositoryFolder) -> RepositoryFolder:
    """One task with 40 examples in one look, and no champion."""
    return with_many_parts(healthy, 40, first_look=40)


def test_a_line_that_says_not_whose_it_is_costs_its_own_answer_alone(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def garble(server: BatchServer, batch: Batch) -> None:
        work(server, batch)
        name = str(batch.output_file)
        server.files[name] = b"cut off\n" + server.files[name].partition(b"\n")[2]

    work = BatchServer.work
    monkeypatch.setattr(BatchServer, "work", garble)
    with batch_server() as server:
        run = evaluate(folder, server)
    assert (len(server.batches), sum(server.live.values())) == (1, 1)
    assert "the results of batch_1 hold 39 of its 40 answers; the others are lost" in run.words
    assert run.record.candidate is not None
    assert run.record.candidate.unmeasured == 0


def test_results_that_the_provider_keeps_no_longer_are_asked_for_by_the_next_run(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(server: BatchServer, batch: Batch) -> None:
        work(server, batch)
        if batch.id == "batch_1":
            del server.files[str(batch.output_file)]

    work = BatchServer.work
    monkeypatch.setattr(BatchServer, "work", lose)
    with batch_server() as server:
        first = evaluate(folder, server)
        assert "its results lack every request" in first.reasons
        assert "the results of batch_1 hold 0 of its 40 answers" in first.words
        assert (len(server.batches), sum(server.live.values())) == (1, 0)
        again = evaluate(folder, server)
    assert (len(server.batches), sum(server.live.values())) == (2, 0)
    assert again.record.candidate is not None
    assert again.record.candidate.batched == 40


def test_results_that_break_off_on_their_way_are_fetched_again(folder: RepositoryFolder) -> None:
    with batch_server(breaks_off=2) as server:
        run = evaluate(folder, server)
    assert (len(server.batches), sum(server.live.values())) == (1, 0)
    assert run.record.candidate is not None
    assert (run.record.candidate.batched, run.record.candidate.unmeasured) == (40, 0)
    assert set(server.paid.values()) == {1}


def test_what_a_filter_stops_and_the_gate_does_not_count_is_told_as_that(
    folder: RepositoryFolder,
) -> None:
    folder.edit(METADATA, "gate: {", "gate: {content_filter: not-measured, ")
    with batch_server(faults=lambda question, batch: "filtered") as server:
        run = evaluate(folder, server)
    assert run.record.verdict.status is Status.NOT_MEASURED
    assert "no answer at all: stopped by the provider's content filter, which" in run.reasons
    assert sum(server.live.values()) == 0
