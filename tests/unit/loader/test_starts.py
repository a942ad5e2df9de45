"""`Prompts` that are started: by several at once, and by who gives up while the ledger is slow."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.loader import Prompts
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import SOON, TASK, eventually, follow, following, reference


class Late:
    """A ledger whose first answer does not come before it `may_answer`."""

    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger
        self._connections = 0
        self.asked = threading.Semaphore(0)
        self.may_answer = threading.Event()

    def connect(self, *, late: int = 1) -> FakeLedger:
        """Return a source of pointers; so many of the first ones are late."""
        self._connections += 1
        if self._connections > late:
            return self._ledger
        connection = FakeLedger()
        connection.table = self._ledger.table
        revision = connection.revision

        def wait() -> int:
            self.asked.release()
            assert self.may_answer.wait(SOON)
            return revision()

        connection.revision = wait  # type: ignore[method-assign]
        return connection


def give_up(prompts: Prompts, late: Late) -> None:
    """Enter, and leave while the ledger is being looked at."""

    async def main() -> None:
        starting = asyncio.create_task(prompts.__aenter__())
        assert await asyncio.to_thread(late.asked.acquire, timeout=SOON)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        late.may_answer.set()

    # Ends when the thread of the start has ended.
    asyncio.run(main())


def test_a_start_that_was_given_up_during_a_look_leaves_nothing(
    built: Path, ledger: FakeLedger
) -> None:
    late = Late(ledger)
    prompts = Prompts("prod", root=built, poll_seconds=0.01, connect=late.connect)
    give_up(prompts, late)
    with pytest.raises(PromptHubError, match="not followed"):
        prompts[TASK]
    with prompts:
        ledger.move(reference(built, "1.0.0"))
        eventually(lambda: prompts[TASK].version == "1.0.0")
    eventually(lambda: not following())


def test_a_start_that_was_given_up_never_takes_the_place_of_a_later_one(
    built: Path, ledger: FakeLedger
) -> None:
    late = Late(ledger)
    prompts = Prompts("prod", root=built, poll_seconds=0.01, connect=late.connect)

    async def main() -> None:
        first = asyncio.create_task(prompts.__aenter__())
        assert await asyncio.to_thread(late.asked.acquire, timeout=SOON)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        async with prompts:
            late.may_answer.set()
            # Time for the first one to do what it must not.
            await asyncio.sleep(0.2)
            ledger.move(reference(built, "1.0.0"))
            await asyncio.to_thread(eventually, lambda: prompts[TASK].version == "1.0.0")

    asyncio.run(main())
    eventually(lambda: not following())


def test_a_start_that_ended_as_it_was_given_up_is_taken_back(
    built: Path, ledger: FakeLedger
) -> None:
    prompts = follow(built, ledger)

    async def main() -> None:
        starting = asyncio.create_task(prompts.__aenter__())
        await asyncio.sleep(0)
        # The event loop has not heard yet that the thread is done.
        eventually(lambda: bool(following()))
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(main())
    with pytest.raises(PromptHubError, match="not followed"):
        prompts[TASK]
    eventually(lambda: not following())


def test_of_two_threads_that_start_one_is_refused(built: Path, ledger: FakeLedger) -> None:
    late = Late(ledger)
    connect = functools.partial(late.connect, late=2)
    prompts = Prompts("prod", root=built, poll_seconds=0.01, connect=connect)
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(prompts.start) for _ in range(2)]
        for _ in starts:
            assert late.asked.acquire(timeout=SOON)
        late.may_answer.set()
        errors = [str(error) for start in starts if (error := start.exception(SOON))]
    assert errors == ["the ledger is followed already."]
    assert len(following()) == 1
    prompts.close()
    eventually(lambda: not following())
