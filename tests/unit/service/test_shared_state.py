"""What workers share: changes of pointers, and the limits of a model as of one process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.config import ModelConfig
from prompt_hub.release.ledger_poller import ServedVersion, ServingState
from prompt_hub.service.shared_state import SharedLimiter, SharedMemory, StateChange
from prompt_hub.service.workers import cores


def served(version: str) -> ServedVersion:
    return ServedVersion(
        reference=VersionRef(version=version, sha256=version), source="ledger", revision=3
    )


STATES = [
    ServingState(),
    ServingState(ready=True, revision=4, served={"a": served("1"), "b": served("1")}),
    ServingState(
        ready=True,
        revision=5,
        served={"b": served("2"), "c": served("1")},
        refused={"c": VersionRef(version="9", sha256="9")},
        ledger_answers=True,
    ),
]


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_a_change_leads_from_one_state_to_the_next(
    before: ServingState, after: ServingState
) -> None:
    change = StateChange.between(before, after, 7)
    assert change.apply(before) == after
    assert change.number == 7


def test_a_change_names_no_task_that_has_not_moved() -> None:
    change = StateChange.between(STATES[1], STATES[2], 1)
    assert (set(change.moved), change.gone) == ({"b", "c"}, ["a"])


def limiters(**settings: float) -> tuple[SharedMemory, list[SharedLimiter]]:
    model = ModelConfig.model_validate(
        {"alias": "a", "provider": "openai", "model": "m", **settings}
    )
    memory = SharedMemory(2, [model])
    return memory, [SharedLimiter(model, 4, memory, worker) for worker in range(2)]


def test_calls_in_flight_are_those_of_all_workers() -> None:
    async def together() -> None:
        _, (here, there) = limiters()
        slots = [await here.acquire(), await here.acquire(), await there.acquire()]
        last = await there.acquire()
        waiting = asyncio.create_task(here.acquire())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert there.acquire_now() is None
        last.release()
        (await asyncio.wait_for(waiting, 10)).release()
        for slot in slots:
            slot.release()
        here.load()
        assert here.in_flight == 0

    asyncio.run(together())


def test_a_busy_provider_is_busy_for_all_workers() -> None:
    async def together() -> None:
        _, (here, there) = limiters()
        (await here.acquire()).release(busy=True)
        slot = await there.acquire()
        assert there.window == 2
        slot.release()

    asyncio.run(together())


def test_a_rate_is_that_of_all_workers() -> None:
    async def together() -> None:
        _, (here, there) = limiters(requests_per_minute=6)
        (await here.acquire()).release()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(there.acquire(), 0.2)

    asyncio.run(together())


def test_what_a_worker_held_that_died_is_given_back() -> None:
    async def together() -> None:
        memory, (here, there) = limiters()
        for _ in range(4):
            await here.acquire()
        memory.calls_in_hand[0] = 4
        # It died in the middle of a step.
        here.lock.acquire()
        memory.forget(0)
        slot = await asyncio.wait_for(there.acquire(), 10)
        assert there.in_flight == 1
        slot.release()
        assert list(memory.calls_in_hand) == [0, 0]

    asyncio.run(together())


@pytest.mark.parametrize(
    ("text", "most"),
    [("25000 100000", 1), ("100000 100000", 1), ("max 100000", 999), ("", 999)],
)
def test_a_quota_of_the_container_bounds_the_workers(tmp_path: Path, text: str, most: int) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text, encoding="ascii")
    assert 1 <= cores(quota) <= most
