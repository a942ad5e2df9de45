"""What workers share: changes of pointers, and the limits of a model as of one process."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.config import ModelConfig
from prompt_hub.release.carried import CarriedHashes
from prompt_hub.release.ledger_poller import ServedVersion, ServingState
from prompt_hub.service.shared_state import (
    ComingState,
    FollowedState,
    SharedLimiter,
    SharedMemory,
    StateChange,
)
from prompt_hub.service.workers import Supervisor, cores


def served(version: str) -> ServedVersion:
    return ServedVersion(
        reference=VersionRef(version=version, sha256=version), source="ledger", revision=3
    )


IMAGE = CarriedHashes(release="r", carries={}, champions={}, snapshot={})
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
    coming = ComingState(before)
    coming.add(change)
    assert coming.state(change) == after
    assert change.number == 7


def test_a_change_names_no_task_that_has_not_moved() -> None:
    change = StateChange.between(STATES[1], STATES[2], 1)
    assert (set(change.moved), change.gone) == ({"b", "c"}, ["a"])


def test_a_large_change_comes_in_parts_that_no_call_waits_for() -> None:
    after = ServingState(revision=9, served={f"t{n}": served(str(n)) for n in range(1234)})
    packed = {(f"t{n}", str(n)): b"%d" % n for n in range(0, 1234, 2)}
    whole = replace(StateChange.between(STATES[1], after, 3), packed=packed)
    parts = list(whole.parts())
    assert max(len(part.moved) for part in parts) <= 16
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    assert {key: text for part in parts for key, text in part.packed.items()} == packed
    assert {task: to for part in parts for task, to in part.moved.items()} == whole.moved
    nothing_moved = StateChange.between(after, replace(after, ready=True), 4)
    assert list(nothing_moved.parts()) == [nothing_moved]


@dataclass
class Shelf:
    """Keeps what a worker is told of prompts."""

    held: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def take(
        self, packed: Mapping[tuple[str, str], bytes], left: Collection[tuple[str, str]]
    ) -> None:
        assert {task for task, _ in left} <= {task for task, _ in packed}
        self.held.update(packed)

    def forget(self, keys: Collection[tuple[str, str]]) -> None:
        for key in keys:
            self.held.pop(key, None)


def test_a_worker_lays_a_change_by_until_its_number_moves() -> None:
    memory, (receiver, sender) = SharedMemory(2, []), Pipe(duplex=False)
    before = ServingState(served={"t1": served("0"), "t2": served("2")})
    shelf = Shelf({("t1", "0"): b"0", ("t2", "2"): b"2"})
    followed = FollowedState(memory, receiver, place=1, state=before, number=0, release=IMAGE)
    followed.prompts = shelf
    stop = threading.Event()
    thread = threading.Thread(target=followed.run, args=(0.01, stop))
    thread.start()
    try:
        states = [before]
        for number in range(1, 4):
            moved = {f"t{n}": served(f"{n}.{number}") for n in range(120)}
            after = replace(before, revision=number, served={**before.served, **moved})
            packed = {(task, to.reference.version): b"new" for task, to in moved.items()}
            change = replace(StateChange.between(states[-1], after, number), packed=packed)
            for part in change.parts():
                assert followed.state == states[-1]
                sender.send(part)
            while memory.laid_by[1] < number:
                time.sleep(0.001)
            assert followed.state == states[-1], "another worker may not have it yet"
            memory.change = number
            assert followed.state == after
            served_now = {(task, to.reference.version) for task, to in after.served.items()}
            assert served_now <= set(shelf.held)
            states.append(after)
        deadline = time.monotonic() + 30
        while set(shelf.held) != served_now:
            assert time.monotonic() < deadline, "what no pointer leads to is let go"
            time.sleep(0.001)
    finally:
        stop.set()
        thread.join(10)
    assert list(memory.laid_by) == [0, 3]
    assert list(memory.calls_in_hand) == [0, 0]


def test_a_call_takes_in_what_the_thread_has_not_yet() -> None:
    memory, (receiver, sender) = SharedMemory(1, []), Pipe(duplex=False)
    followed = FollowedState(memory, receiver, place=0, state=STATES[0], number=0, release=IMAGE)
    for number, (left, reached) in enumerate(pairwise(STATES), start=1):
        for part in StateChange.between(left, reached, number).parts():
            sender.send(part)
        memory.change = number
    assert followed.state == STATES[-1]


def test_what_a_change_leads_back_to_is_kept_while_the_change_comes_in() -> None:
    memory, (receiver, sender) = SharedMemory(1, []), Pipe(duplex=False)
    names = [f"t{number}" for number in range(40)]
    states = [
        ServingState(revision=number, served=dict.fromkeys(names, served(version)))
        for number, version in enumerate(("1", "2", "1"))
    ]
    shelf = Shelf({(name, "1"): b"1" for name in names})
    followed = FollowedState(memory, receiver, place=0, state=states[0], number=0, release=IMAGE)
    followed.prompts = shelf
    stop = threading.Event()
    thread = threading.Thread(target=followed.run, args=(0.01, stop))
    thread.start()
    try:
        for number, (left, reached) in enumerate(pairwise(states), start=1):
            packed = {(task, to.reference.version): b"new" for task, to in reached.served.items()}
            change = replace(StateChange.between(left, reached, number), packed=packed)
            # No call comes that would have the first change shown before the second one begins.
            for part in change.parts():
                sender.send(part)
                time.sleep(0.05)
            deadline = time.monotonic() + 30
            while memory.laid_by[0] < number:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            memory.change = number
        assert followed.state == states[-1]
        while any((name, "2") in shelf.held for name in names):
            assert time.monotonic() < deadline
            time.sleep(0.001)
    finally:
        stop.set()
        thread.join(10)
    assert set(shelf.held) == {(name, "1") for name in names}


def test_calls_go_on_after_each_part_of_a_change() -> None:
    memory, (receiver, sender) = SharedMemory(1, []), Pipe(duplex=False)
    after = ServingState(revision=1, served={f"t{n}": served("1") for n in range(100)})
    parts = list(StateChange.between(STATES[1], after, 1).parts())
    stop, rests = threading.Event(), list[int]()

    def rest(seconds: float) -> None:
        assert seconds > 0, "who waits for the interpreter does not get it by this"
        rests.append(memory.laid_by[0])
        time.sleep(seconds)

    followed = FollowedState(
        memory, receiver, place=0, state=STATES[1], number=0, release=IMAGE, rest=rest
    )
    thread = threading.Thread(target=followed.run, args=(0.01, stop))
    thread.start()
    try:
        for part in parts:
            sender.send(part)
        deadline = time.monotonic() + 30
        while len(rests) < len(parts):
            assert time.monotonic() < deadline
            time.sleep(0.001)
    finally:
        stop.set()
        thread.join(10)
    assert rests[: len(parts)] == [0] * (len(parts) - 1) + [1]


class Ring:
    """Rubbish that the collector alone finds."""

    def __init__(self) -> None:
        self.itself = self


def test_no_rubbish_stays_for_ever_because_a_pointer_moved() -> None:
    frozen = gc.get_freeze_count()
    rings = rubbish_of_a_change(tasks=1)
    assert gc.get_freeze_count() <= frozen
    gc.collect()
    assert [ring() for ring in rings] == [None]


def test_of_many_pointers_that_move_only_the_first_part_keeps_rubbish() -> None:
    frozen = gc.get_freeze_count()
    try:
        before, *during = rubbish_of_a_change(tasks=100)
        assert gc.get_freeze_count() > frozen
        gc.collect()
        assert before() is not None
        assert len(during) > 5
        assert {ring() for ring in during} == {None}
    finally:
        gc.unfreeze()
        gc.collect()
    assert before() is None


def rubbish_of_a_change(tasks: int) -> list[weakref.ref[Ring]]:
    """Take a change in, rubbish made before each of its parts; returns what leads to it."""
    memory, (receiver, sender) = SharedMemory(1, []), Pipe(duplex=False)
    after = ServingState(revision=1, served={f"t{n}": served("1") for n in range(tasks)})
    parts, stop = StateChange.between(STATES[0], after, 1).parts(), threading.Event()
    rings: list[weakref.ref[Ring]] = []

    def rest(seconds: float) -> None:
        for part in parts:
            rings.append(weakref.ref(Ring()))
            return sender.send(part)
        return stop.set()

    followed = FollowedState(
        memory, receiver, place=0, state=STATES[0], number=0, release=IMAGE, rest=rest
    )
    rest(0)
    followed.run(0.01, stop)
    memory.change = 1
    assert followed.state == after
    return rings


def model_of(**settings: float) -> ModelConfig:
    return ModelConfig.model_validate(
        {"alias": "a", "provider": "openai", "model": "m", **settings}
    )


def limiters(**settings: float) -> tuple[SharedMemory, list[SharedLimiter]]:
    model = model_of(**settings)
    memory = SharedMemory(2, [model])
    return memory, [SharedLimiter(model, 4, memory, worker) for worker in range(2)]


class Follower:
    """As much of a `LedgerPoller` as a supervisor needs: its second look finds a change."""

    state = ServingState()
    release = IMAGE
    looks = 0

    def run(self, every_seconds: float, stop: threading.Event, alone: threading.Lock) -> None:
        self.looks += 1
        if self.looks == 2:
            self.state = STATES[1]


class Unreadable:
    """Prompts that can be read at the second attempt."""

    attempts = 0

    def prepare(self, task: str, version: str) -> bytes:
        self.attempts += 1
        if self.attempts == 1:
            raise OSError("a disk had a bad day")
        return b""


def test_a_change_that_cannot_be_told_is_told_with_the_next_look(
    capsys: pytest.CaptureFixture[str],
) -> None:
    memory, follower, stop = SharedMemory(1, []), Follower(), threading.Event()
    team = Supervisor(follower, memory, [], lambda *_: None, Unreadable())
    thread = threading.Thread(target=team._follow, args=(0.01, stop))
    thread.start()
    until = time.monotonic() + 10
    while memory.change == 0 and time.monotonic() < until:
        time.sleep(0.01)
    stop.set()
    thread.join()
    assert memory.change == 1
    assert follower.looks >= 3
    assert '"change_not_told"' in capsys.readouterr().out


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
        memory.lock(model_of()).acquire()
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
