"""The oldest makes room for the newest, and only it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from prompt_hub.core.bounded import Bounded


def test_the_oldest_makes_room() -> None:
    held: Bounded[int, str] = Bounded(3)
    for number in range(4):
        held.put(number, str(number))
    assert [held.get(number) for number in range(4)] == [None, "1", "2", "3"]
    held.put(2, "again")
    assert [held.get(number) for number in range(4)] == [None, "1", "again", "3"]
    held.drop(1)
    held.drop(1)
    assert [held.get(number) for number in range(4)] == [None, None, "again", "3"]


def test_several_threads_may_fill_it() -> None:
    held: Bounded[int, int] = Bounded(16)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: held.put(number % 40, number), range(20_000)))
    assert sum(held.get(number) is not None for number in range(40)) == 16
