"""Whom the rollback Lambda tells, how often and in how many messages, whatever ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from decision import RECOVERED_ROUNDS
from handler import IncompleteInvocationError
from prompt_hub.ledger.items import Notify, ScoreSample
from prompt_hub.ledger.outbox import CLAIM_KEY
from prompt_hub.ledger.transitions import Cause
from telling import CLAIM_SECONDS, COLLECT_SECONDS, DIGEST_MOST, ONE_BY_ONE
from tests.lambdas.world import KilledByLambda, World, recorded

ROLLED_BACK = "[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0"


def world_of(count: int) -> World:
    """A stage whose tasks all went bad, each with a way back that passes."""
    world = World(tasks=tuple(f"task-{number:02}" for number in range(count)))
    world.alarms.firing = {f"prompt-hub-dev-score-{task}": task for task in world.tasks}
    for task in world.tasks:
        world.measured(task, 0.55, 0.9)
    return world


def round_of(task: str) -> dict[str, Any]:
    return {"source": "prompt-hub.watch", "task": task}


def states(world: World) -> set[Notify]:
    return {world.ledger.events(task)[0].notify for task in world.tasks}


@pytest.mark.parametrize("count", [1, ONE_BY_ONE])
def test_a_few_events_are_told_in_a_message_each(count: int) -> None:
    world = world_of(count)
    world.invoke(recorded("sweep"))
    assert world.messages() == [
        f"[prompt-hub dev] {task}: rolled back 1.1.0 -> 1.0.0" for task in world.tasks
    ]
    assert states(world) == {Notify.SENT}


def test_a_rollback_of_a_frozen_task_says_that_it_stays_frozen_and_how_that_ends() -> None:
    world = world_of(2)
    unfreeze = "  prompt-hub ledger unfreeze task-00 --stage dev --person "
    by_ann = replace(world.cause, by="Ann", reason="supplier audit")
    world.ledger.freeze("task-00", seen=world.pointer("task-00").revision, cause=by_ann)
    world.invoke(recorded("sweep"))
    _, frozen, free = (message["Message"] for message in world.topic.published)
    assert "The task stays frozen: no release moves it." in frozen
    assert f"\nTo let releases move it again:\n{unfreeze}" in frozen
    assert "frozen" not in free
    assert "unfreeze" not in free


def test_both_bad_again_in_a_task_that_is_frozen_proposes_no_other_version() -> None:
    world = World()
    fallen = Cause(
        by="rollback", code="provider-or-data", reason="both", at="2026-11-03T09:00:00.000000Z"
    )
    world.ledger.freeze("part-class", seen=world.pointer().revision, cause=fallen)
    for minute, score in enumerate([0.5, *[0.95] * RECOVERED_ROUNDS, 0.5], start=10):
        at = f"2026-11-03T09:{minute}:00.000000Z"
        world.ledger.add_samples(
            [
                ScoreSample(
                    task="part-class",
                    version=version,
                    score=score,
                    threshold=0.85,
                    n=40,
                    interval=(score, score),
                    evaluation=at,
                    at=at,
                )
                for version in ("1.1.0", "1.0.0")
            ]
        )
    assert world.invoke(round_of("part-class")) == [("part-class", "provider-or-data")]
    froze, page = world.topic.published
    assert page["Subject"].endswith("part-class: needs a person, 1.1.0 stays active")
    assert "What was done: nothing: 1.1.0 stays active. The task stays frozen" in page["Message"]
    assert "ledger downgrade" not in page["Message"]
    lifted = froze["Message"].split("When the cause is found")[1]
    assert "prompt-hub ledger unfreeze part-class" in lifted
    assert page["Message"].split("When the cause is found")[1:] == [lifted]
    assert page["Message"].count("unfreeze") == 1


@pytest.mark.parametrize("count", [ONE_BY_ONE + 1, 40, DIGEST_MOST])
def test_more_at_once_become_one_digest_that_leaves_nothing_out(count: int) -> None:
    world = world_of(count)
    world.invoke(recorded("sweep"))
    (message,) = world.topic.published
    assert message["Subject"] == f"[prompt-hub dev] {count} events: {count} rolled back"
    for task in world.tasks:
        assert f"- {task}: rolled back 1.1.0 -> 1.0.0" in message["Message"]
        assert f"prompt-hub ledger activate {task} --stage dev --to 1.1.0" in message["Message"]
        assert f"prompt-hub promote downgrade {task} --to 1.1.0 --override" in message["Message"]
    assert len(message["Message"].encode()) < 256 * 1024
    assert len(world.bus.entries) == count
    assert states(world) == {Notify.SENT}


def test_more_than_a_digest_holds_are_told_all_the_same() -> None:
    world = world_of(DIGEST_MOST + 1)
    world.invoke(recorded("sweep"))
    assert len(world.topic.published) == 2
    assert states(world) == {Notify.SENT}


def test_a_digest_counts_what_happened() -> None:
    world = world_of(ONE_BY_ONE)
    for task in ("brand", "part-class"):
        world.ledger.seed(
            task,
            world.pointer("task-00").active,
            previous=None,
            release=world.pointer("task-00").release,
            cause=world.cause,
        )
    world.tasks = (*world.tasks, "brand", "part-class")
    world.alarms.firing |= {
        "prompt-hub-dev-score-brand": "brand",
        "prompt-hub-dev-score-part-class": "part-class",
    }
    world.measured("brand", 0.5, None)
    world.measured("part-class", 0.5, None)
    world.invoke(recorded("sweep"))
    assert world.messages() == ["[prompt-hub dev] 6 events: 4 rolled back, 2 need a person"]


def test_many_invocations_one_after_the_other_tell_in_few_messages() -> None:
    """Each waits until the message before it is a few seconds old: what comes then goes along."""
    world = world_of(40)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        # While one collects, all others come, find the claim held, and leave their news to it.
        for task in world.tasks[2:] if len(waited) == 1 else ():
            world.invoke(round_of(task))
        world.now += timedelta(seconds=seconds)

    world.sleep = sleep  # type: ignore[method-assign]
    world.invoke(round_of("task-00"))
    world.invoke(round_of("task-01"))
    assert world.messages() == [
        "[prompt-hub dev] task-00: rolled back 1.1.0 -> 1.0.0",
        "[prompt-hub dev] 39 events: 39 rolled back",
    ]
    assert waited[0] == COLLECT_SECONDS
    assert len(world.bus.entries) == 40
    assert states(world) == {Notify.SENT}


def test_news_that_came_while_another_held_the_claim_is_told_by_that_one() -> None:
    world = world_of(2)
    published = world.topic.publish
    meanwhile = [round_of("task-01")]

    def publish(**message: str) -> None:
        published(**message)
        if meanwhile:
            assert world.invoke(meanwhile.pop()) == [("task-01", "below-threshold")]

    world.topic.publish = publish  # type: ignore[method-assign]
    world.invoke(round_of("task-00"))
    assert len(world.topic.published) == 2
    assert states(world) == {Notify.SENT}


def test_a_crash_between_claim_and_message_is_made_up_for_when_the_claim_ends() -> None:
    world = world_of(1)
    world.topic.hangs = True
    with pytest.raises(KilledByLambda):
        world.invoke(round_of("task-00"))
    world.topic.hangs = False

    world.invoke(recorded("sweep"))
    assert world.messages() == []
    assert states(world) == {Notify.PENDING}

    world.now += timedelta(seconds=CLAIM_SECONDS + 1)
    world.invoke(recorded("sweep"))
    world.invoke(recorded("sweep"))
    assert len(world.topic.published) == 1
    assert states(world) == {Notify.SENT}


def test_a_message_that_may_be_a_repetition_says_so() -> None:
    world = world_of(1)
    before = world.topic.publish

    def publish(**message: str) -> None:
        before(**message)
        raise KilledByLambda

    world.topic.publish = publish  # type: ignore[method-assign]
    with pytest.raises(KilledByLambda):
        world.invoke(round_of("task-00"))
    world.topic.publish = before  # type: ignore[method-assign]

    world.now += timedelta(seconds=CLAIM_SECONDS + 1)
    world.invoke(recorded("sweep"))
    first, second = (message["Message"] for message in world.topic.published)
    assert "You may have been told of this before" not in first
    assert "You may have been told of this before" in second
    assert states(world) == {Notify.SENT}


def test_who_lost_the_claim_stops_and_the_other_goes_on() -> None:
    world = world_of(2)
    before = world.topic.publish

    def publish(**message: str) -> None:
        if not world.topic.published:
            # Asleep for longer than the claim lasts: another one has told of both meanwhile.
            world.topic.publish = before  # type: ignore[method-assign]
            world.now += timedelta(seconds=CLAIM_SECONDS + 1)
            world.invoke(recorded("sweep"))
        before(**message)

    world.topic.publish = publish  # type: ignore[method-assign]
    world.invoke(recorded("sweep"))
    assert states(world) == {Notify.SENT}
    # The one that was asleep sent the one message that it had begun, and no other.
    assert sorted(world.messages()) == [
        "[prompt-hub dev] task-00: rolled back 1.1.0 -> 1.0.0",
        "[prompt-hub dev] task-00: rolled back 1.1.0 -> 1.0.0",
        "[prompt-hub dev] task-01: rolled back 1.1.0 -> 1.0.0",
    ]


def test_a_claim_is_given_back(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.invoke(recorded("alarm"))
    assert world.messages() == [ROLLED_BACK]
    assert world.table.items[CLAIM_KEY]["until"] == {"S": ""}


def test_what_does_not_fit_into_one_invocation_makes_lambda_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telling.TELLING_SECONDS", -1.0)
    world.measured("part-class", 0.55, 0.9)
    with pytest.raises(IncompleteInvocationError, match="more than fits into one"):
        world.invoke(recorded("alarm"))
    monkeypatch.undo()
    world.invoke(recorded("alarm"))
    assert world.messages() == [ROLLED_BACK]


@pytest.fixture
def world() -> World:
    return World()
