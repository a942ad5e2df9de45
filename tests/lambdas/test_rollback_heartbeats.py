"""The sweep says of which tasks the score watch is to be heard; nothing else says it."""

from __future__ import annotations

import pytest

from handler import IncompleteInvocationError, process
from prompt_hub.core import aws_names
from tests.lambdas.world import ACCOUNT, NEW, OLD, RELEASE, ROUND, World, recorded


@pytest.fixture
def world() -> World:
    return World()


def due(*tasks: str) -> list[tuple[str, str, str, float]]:
    return [("WatchHeartbeat", "dev", task, 0) for task in tasks]


def test_a_sweep_counts_none_for_each_active_version(world: World) -> None:
    world.invoke(recorded("sweep"))
    assert world.alarms.counted == due("brand", "part-class")


def test_rounds_and_alarms_count_nothing(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.invoke(recorded("alarm"))
    world.invoke(ROUND)
    assert world.alarms.counted == []


def test_of_a_task_with_nothing_active_nothing_is_to_be_heard(world: World) -> None:
    """One whose first version is still on its way, and one that was taken out of service."""
    pointer = world.pointer("brand")
    world.ledger.retire("brand", seen=pointer.revision, release=RELEASE, cause=world.cause)
    world.tasks = (*world.tasks, "not-yet-released")
    world.invoke(recorded("sweep"))
    assert world.alarms.counted == due("part-class")


def test_a_task_without_an_alarm_on_its_silence_is_left_out(world: World) -> None:
    """That of the drill, and one that the deployed templates do not know any more."""
    for task in (aws_names.DRILL_TASK, "gone-from-git"):
        world.ledger.seed(task, NEW, previous=OLD, release=RELEASE, cause=world.cause)
    world.tasks = (*world.tasks, aws_names.DRILL_TASK)
    world.invoke(recorded("sweep"))
    assert world.alarms.counted == due("brand", "part-class")


def test_what_cannot_be_counted_is_tried_again_behind_every_rollback(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.alarms.broken = True
    with pytest.raises(IncompleteInvocationError, match="expecting heartbeats: ConnectionError"):
        process(recorded("sweep"), ACCOUNT, world.desk)
    assert world.pointer().version == "1.0.0"
    assert world.messages() == ["[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0"]
