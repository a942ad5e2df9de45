"""One timer for all that is held to a limit: who is late is ended, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from prompt_hub.core.concurrency import TimeLimit
from tests.unit.virtual_time import in_virtual_time

FOREVER = 3600.0


async def _wait(limit: TimeLimit, seconds: float) -> str:
    with limit():
        await asyncio.sleep(seconds)
    return "in time"


async def _timers_set(limit: TimeLimit, calls: int) -> int:
    loop, made = asyncio.get_running_loop(), 0
    call_at = loop.call_at

    def count(*arguments: object, **named: object) -> asyncio.TimerHandle:
        nonlocal made
        made += 1
        return call_at(*arguments, **named)  # type: ignore[arg-type]

    loop.call_at = count  # type: ignore[method-assign]
    await asyncio.gather(*(_wait(limit, 0) for _ in range(calls)))
    return made


def test_who_is_late_is_ended_and_nobody_else() -> None:
    async def run() -> list[object]:
        limit = TimeLimit(0.05)
        early = [_wait(limit, FOREVER), _wait(limit, 0.0), _wait(limit, FOREVER)]
        tasks = [asyncio.ensure_future(call) for call in early]
        await asyncio.sleep(0.03)
        tasks += [asyncio.ensure_future(_wait(limit, wait)) for wait in (0.035, FOREVER)]
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    first, second, third, later, last = in_virtual_time(run)
    assert [second, later] == ["in time", "in time"]
    assert [type(one) for one in (first, third, last)] == [TimeoutError] * 3


def test_a_thousand_calls_that_are_in_time_set_one_timer() -> None:
    assert asyncio.run(_timers_set(TimeLimit(FOREVER), 1000)) == 1


def test_a_limit_is_no_reason_to_take_somebody_elses_cancellation() -> None:
    async def run() -> bool:
        task = asyncio.ensure_future(_wait(TimeLimit(FOREVER), FOREVER))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(run())


def test_an_error_inside_comes_out_as_it_is() -> None:
    async def run() -> None:
        with TimeLimit(FOREVER)():
            raise LookupError("as it is")

    with pytest.raises(LookupError, match="as it is"):
        asyncio.run(run())


def test_a_limit_serves_one_event_loop_after_another() -> None:
    limit = TimeLimit(0.02)
    for _ in range(2):
        assert asyncio.run(_wait(limit, 0.0)) == "in time"
        with pytest.raises(TimeoutError):
            asyncio.run(_wait(limit, FOREVER))


def test_what_a_closed_loop_left_behind_is_forgotten_on_the_next_one() -> None:
    limit = TimeLimit(0.02)
    closed = asyncio.new_event_loop()
    closed.set_exception_handler(lambda *_: None)  # It would say that a task never ended.
    left = closed.create_task(_wait(limit, FOREVER))
    closed.run_until_complete(asyncio.sleep(0))
    closed.close()

    async def run() -> list[object]:
        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        with pytest.raises(TimeoutError):
            await _wait(limit, FOREVER)
        return problems

    assert asyncio.run(run()) == []
    assert not left.done()


def test_who_is_late_and_cancelled_by_somebody_else_is_cancelled() -> None:
    async def run() -> bool:
        task = asyncio.ensure_future(_wait(TimeLimit(0.0), FOREVER))
        await asyncio.sleep(0)
        # Both in one turn of the loop: the time is over, and whoever waits has left.
        asyncio.get_running_loop().call_later(0, task.cancel)
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(run())


def test_what_no_task_does_is_not_held_to_a_time() -> None:
    async def step() -> str:
        try:
            with TimeLimit(FOREVER)():
                return "held"
        except RuntimeError as error:
            return str(error)

    async def run() -> str:
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        found: list[str] = []

        def outside() -> None:
            with pytest.raises(StopIteration) as stopped:
                step().send(None)
            found.append(stopped.value.value)
            told.set()

        loop.call_soon(outside)
        await told.wait()
        return found[0]

    assert "task" in asyncio.run(run())
