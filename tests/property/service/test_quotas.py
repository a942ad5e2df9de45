"""Quotas in virtual time, whatever callers do: never too many in any window, and no one else's."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.service.quotas import Quota, QuotaTable

ROUNDING = 1e-5
"""Sums of times are off; a call that is let in so many seconds early is none too many."""

calls = st.lists(
    st.tuples(st.floats(0, 20), st.sampled_from(["shop", "search", "nightly"])),
    min_size=1,
    max_size=120,
)
quotas = st.integers(1, 600).map(lambda number: Quota(number / 4))


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def let_in(
    asked: Sequence[tuple[float, str]], quota: Quota, start: float
) -> dict[str, list[float]]:
    """When each caller's calls were let in; calls come so many seconds after each other."""
    clock = Clock(start)
    table = QuotaTable(threading.Lock(), buckets=4, clock=clock)
    times: dict[str, list[float]] = defaultdict(list)
    for pause, caller in asked:
        clock.now += pause
        if table.take(caller, quota) == 0:
            times[caller].append(clock.now)
    return times


@given(asked=calls, quota=quotas, start=st.floats(0, 1e7))
def test_in_no_window_are_there_more_calls_than_quota_and_burst(
    asked: Sequence[tuple[float, str]], quota: Quota, start: float
) -> None:
    for times in let_in(asked, quota, start).values():
        for first, began in enumerate(times):
            for last in range(first, len(times)):
                most = quota.burst + (times[last] - began + ROUNDING) * quota.per_minute / 60
                assert last - first + 1 <= most + ROUNDING


@given(asked=calls, quota=quotas, start=st.floats(0, 1e7))
def test_what_others_do_changes_nothing_for_a_caller(
    asked: Sequence[tuple[float, str]], quota: Quota, start: float
) -> None:
    together = let_in(asked, quota, start)
    for caller in {caller for _, caller in asked}:
        alone = []
        waited = 0.0
        for pause, other in asked:
            waited += pause
            if other == caller:
                alone.append((waited, caller))
                waited = 0.0
        found = let_in(alone, quota, start)[caller]
        assert len(found) == len(together[caller])


@given(asked=calls, quota=quotas, start=st.floats(0, 1e7))
def test_who_waits_as_long_as_it_is_told_is_let_in(
    asked: Sequence[tuple[float, str]], quota: Quota, start: float
) -> None:
    clock = Clock(start)
    table = QuotaTable(threading.Lock(), buckets=4, clock=clock)
    for pause, caller in asked:
        clock.now += pause
        wait = table.take(caller, quota)
        assert 0 <= wait <= 60 / quota.per_minute + ROUNDING
        if wait:
            clock.now += wait + ROUNDING
            assert table.take(caller, quota) == 0


@given(quota=quotas, start=st.floats(0, 1e7))
def test_after_a_rest_a_burst_is_let_in_at_once(quota: Quota, start: float) -> None:
    number = int(quota.burst)
    times = let_in([(0.0, "shop")] * (number + 2), quota, start)["shop"]
    assert number <= len(times) <= number + 1
