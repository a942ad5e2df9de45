"""Runs that go on at the same time share a model's limits, whoever comes, goes or dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_hub.batch.objects import FolderObjects
from prompt_hub.batch.other_runs import SLOT_SECONDS, OtherRuns
from prompt_hub.core.errors import PromptHubError

ALIAS = "catalogue-pinned"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path)


def seen(
    objects: FolderObjects, clock: Clock, run: str, children: int, alias: str = ALIAS
) -> float:
    """The share of a run, as one of its processes sees it now."""
    return OtherRuns(objects, alias, run, children, clock=clock).look()[1]


def test_a_run_alone_has_all_of_its_limits(objects: FolderObjects, clock: Clock) -> None:
    assert seen(objects, clock, "a", 10) == 1
    assert seen(objects, clock, "a", 10) == 1, "its own processes have been divided by"
    assert seen(objects, clock, "b", 10, alias="another") == 1


def test_every_process_of_every_run_has_as_much(objects: FolderObjects, clock: Clock) -> None:
    seen(objects, clock, "a", 10)
    assert seen(objects, clock, "b", 30) == 30 / 40
    assert seen(objects, clock, "a", 10) == 10 / 40
    seen(objects, clock, "c", 1)
    shares = {name: seen(objects, clock, name, n) for name, n in (("a", 10), ("b", 30), ("c", 1))}
    # What a process has is its run's limits by its processes, and of that its run's share.
    assert {round(shares[name] / n, 9) for name, n in (("a", 10), ("b", 30), ("c", 1))} == {
        round(1 / 41, 9)
    }


def test_a_run_that_says_nothing_more_is_gone_after_two_slots(
    objects: FolderObjects, clock: Clock
) -> None:
    seen(objects, clock, "a", 1)
    seen(objects, clock, "b", 1)
    clock.now += SLOT_SECONDS
    assert seen(objects, clock, "b", 1) == 0.5
    clock.now += SLOT_SECONDS
    assert seen(objects, clock, "b", 1) == 1


def test_the_first_process_of_a_run_waits_until_the_others_have_seen_it(
    objects: FolderObjects, clock: Clock
) -> None:
    waits: list[float] = []
    shares: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def begin(run: str) -> list[float]:
        waits.clear()
        shares.clear()
        others = OtherRuns(objects, ALIAS, run, 2, clock=clock, sleep=sleep)
        async with others.sharing(shares.append, lambda line: None):
            return [*waits]

    assert asyncio.run(begin("a")) == []
    assert shares == []
    assert asyncio.run(begin("b")) == [SLOT_SECONDS]
    assert shares == [0.5]
    assert asyncio.run(begin("b")) == [], "its run is known"
    assert shares == [0.5]


def test_a_share_changes_while_a_run_goes_on(objects: FolderObjects, clock: Clock) -> None:
    shares: list[float] = []
    said: list[str] = []
    steps: Iterator[str] = iter(("b", "b", ""))

    async def main() -> None:
        done = asyncio.Event()

        async def sleep(seconds: float) -> None:
            clock.now += seconds
            other = next(steps, None)
            if other is None:
                done.set()
                await asyncio.Event().wait()
            if other:
                seen(objects, clock, other, 1)

        others = OtherRuns(objects, ALIAS, "a", 1, clock=clock, sleep=sleep)
        async with others.sharing(shares.append, said.append):
            clock.now += SLOT_SECONDS  # two slots without a word of the other
            await done.wait()

    asyncio.run(main())
    assert shares[0] == 0.5
    assert said[0] == f"50% of this run's limits from now on: other runs ask {ALIAS}, too."


def test_a_store_that_does_not_answer_leaves_the_share_as_it_was(clock: Clock) -> None:
    class Gone(FolderObjects):
        def keys(self, prefix: str) -> Iterator[str]:
            raise PromptHubError("the store is gone.")

    async def main() -> list[float]:
        shares: list[float] = []
        others = OtherRuns(Gone(Path()), ALIAS, "a", 1, clock=clock)
        async with others.sharing(shares.append, lambda line: None):
            return shares

    assert asyncio.run(main()) == []
