"""Batches of several versions, and one after the other: what they share, and set aside."""

from __future__ import annotations

import pytest

from prompt_hub.gate.types import Status
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.in_batches import evaluate
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.llm.batch_server import TOKENS, batch_server

METADATA = "prompts/03-metadata/part-class.yaml"


def test_a_version_with_the_content_of_the_released_one_shares_its_batch(
    healthy: RepositoryFolder,
) -> None:
    healthy.promote("part-class")
    healthy.bump("part-class", "1.2.0", "1.3.0")
    with_many_parts(healthy, 40, first_look=40, champion=True)
    with batch_server() as server:
        run = evaluate(healthy, server)
    assert run.record.verdict.status is Status.PASS
    assert run.record.champion is not None
    assert run.record.champion.n == 40
    assert (len(server.batches), sum(server.live.values())) == (1, 0)
    assert set(server.paid.values()) == {1}


def with_two_versions(folder: RepositoryFolder) -> RepositoryFolder:
    """Forty examples for a candidate and a champion of another content."""
    return with_many_parts(folder, 40, first_look=40, champion=True)


def test_a_budget_that_one_version_has_set_aside_is_there_for_the_next(
    healthy: RepositoryFolder,
) -> None:
    folder = with_two_versions(healthy)
    # Some 400 tokens are set aside for a question before one has told that it takes 47.
    folder.edit(METADATA, "gate: {", "gate: {budget: {tokens: 6400}, ")
    with batch_server() as server:
        run = evaluate(folder, server)
    assert run.record.verdict.status is Status.PASS
    arms = [run.record.candidate, run.record.champion]
    assert [arm and arm.batched for arm in arms] == [40, 40]
    assert (sum(server.paid.values()), sum(server.live.values())) == (80, 0)


@pytest.mark.parametrize("late", [False, True])
def test_a_queue_that_holds_one_version_takes_the_next_one_later(
    healthy: RepositoryFolder, *, late: bool
) -> None:
    folder = with_two_versions(healthy)
    with batch_server(most_tokens=40 * TOKENS[0], refuses_late=late, steps=4) as server:
        run = evaluate(folder, server)
    assert run.record.verdict.status is Status.PASS
    # Once by each version.
    assert (set(server.paid.values()), sum(server.live.values())) == ({2}, 0)
    assert "are waited for" in run.words
    assert "takes no batch now" not in run.words


def test_what_a_batch_has_paid_for_is_not_set_aside_for_the_next_one_too(
    healthy: RepositoryFolder,
) -> None:
    folder = with_many_parts(healthy, 120, first_look=120)
    folder.edit(METADATA, "gate: {", "gate: {budget: {calls: 130}, ")
    with batch_server(most_tokens=40 * TOKENS[0]) as server:
        run = evaluate(folder, server, batch_requests=40)
    assert run.record.verdict.status is Status.PASS
    sizes = [len(server.requests_of(batch)) for batch in server.batches.values()]
    assert (sizes, sum(server.live.values())) == ([40, 40, 40], 0)
