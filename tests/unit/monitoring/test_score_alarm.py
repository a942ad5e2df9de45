"""Which margins the score alarm of a task hears of: those of what is active."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from prompt_hub.ledger.transitions import Cause
from prompt_hub.monitoring.watch import DECIDED_SECONDS
from tests.unit.monitoring.watch_stage import DECIDES_AFTER, Stage


def fallen(stage: Stage) -> None:
    """Let part-class answer wrong, whatever version is asked."""
    stage.answer = lambda messages: {"part_class": "banana"}


def margins_of_the_task(stage: Stage) -> list[str]:
    """Tasks with a margin that a score alarm looks at."""
    return stage.metrics.tasks("ScoreMargin")


def test_what_was_rolled_back_rings_no_alarm_and_is_on_the_graph_of_its_version(
    stage: Stage,
) -> None:
    """The alarm would be red for its whole window, of a version that answers nobody any more."""
    fallen(stage)
    stage.decides = lambda: stage.move("part-class", "1.0.0")
    asyncio.run(stage.watch.measure("part-class"))
    assert len(stage.waits) == DECIDES_AFTER
    assert margins_of_the_task(stage) == []
    assert stage.metrics.tasks("WatchHeartbeat") == ["part-class"]
    versions = [
        entry["Value"]
        for datum in stage.metrics.data
        if datum["MetricName"] == "ScoreMargin"
        for entry in datum.get("Dimensions", ())
        if entry["Name"] == "Version"
    ]
    assert versions == ["1.1.0"]
    assert "part-class: went back to 1.0.0; the margin of 1.1.0 is no alarm" in stage.said


def test_a_way_back_that_has_fallen_too_rings_the_alarm_with_its_own_round(stage: Stage) -> None:
    fallen(stage)
    stage.decides = lambda: stage.move("part-class", "1.0.0")
    asyncio.run(stage.watch.measure("part-class"))
    stage.decides = None
    stage.now += timedelta(minutes=15)
    asyncio.run(stage.watch.measure("part-class"))
    assert margins_of_the_task(stage) == ["part-class"]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_fallen_version_that_stays_rings_the_alarm(stage: Stage, frozen: bool) -> None:
    def freeze() -> None:
        pointer = stage.ledger.pointer("part-class")
        assert pointer is not None
        cause = Cause(by="rollback", reason="both fell", at="2026")
        newest = max((event.revision for event in stage.ledger.events("part-class")), default=0)
        stage.ledger.freeze("part-class", seen=pointer.revision, newest=newest, cause=cause)

    fallen(stage)
    stage.decides = freeze if frozen else None
    asyncio.run(stage.watch.measure("part-class"))
    assert margins_of_the_task(stage) == ["part-class"]
    waited = DECIDES_AFTER if frozen else DECIDED_SECONDS / stage.waits[0]
    assert len(stage.waits) == waited, "what is decided is not waited for any longer"


def test_a_ledger_that_fails_while_a_decision_is_waited_for_silences_no_alarm(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm is there for when everything else failed."""

    def refuse(task: str) -> None:
        raise ConnectionError("DynamoDB is out of order")

    fallen(stage)
    stage.decides = lambda: monkeypatch.setattr(stage.ledger, "pointer", refuse)
    asyncio.run(stage.watch.measure("part-class"))
    assert margins_of_the_task(stage) == ["part-class"]
    assert stage.metrics.tasks("WatchHeartbeat") == ["part-class"]
    assert any("ConnectionError: DynamoDB is out of order" in line for line in stage.said)


def test_nothing_is_waited_for_where_nobody_was_reached_or_the_score_is_good(
    stage: Stage,
) -> None:
    asyncio.run(stage.watch.measure("part-class"))
    stage.now += timedelta(minutes=15)
    fallen(stage)
    stage.reached = False
    asyncio.run(stage.watch.measure("part-class"))
    assert margins_of_the_task(stage) == ["part-class", "part-class"]
    assert stage.waits == []
