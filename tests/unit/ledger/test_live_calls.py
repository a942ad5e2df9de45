"""Two versions' live calls: what is told apart, what is not, and how seldom chance does it."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from prompt_hub.ledger import live_calls
from prompt_hub.ledger.live_calls import ERROR, Calls, breaks_more


def calls(broken: int, of: int) -> Calls:
    return Calls(calls=of, broken=broken)


@pytest.mark.parametrize(
    ("active", "previous", "expected"),
    [
        (calls(10, 40), calls(2, 4_100), True),
        (calls(10, 100), calls(0, 4_000), True),
        (calls(380, 380), calls(0, 40), True),
        # What always broke is no news.
        (calls(20, 200), calls(400, 4_000), False),
        (calls(0, 380), calls(2, 4_100), False),
        # Nobody knows what the previous version would have done.
        (calls(10, 40), calls(0, 0), False),
        (calls(10, 40), calls(0, 3), False),
        (calls(10, 40), calls(40, 40), False),
        # Shown beyond a hundredth only.
        (calls(50, 10_000), calls(0, 1_000_000), False),
    ],
)
def test_an_active_version_that_does_worse_is_told(
    active: Calls, previous: Calls, expected: bool
) -> None:
    assert breaks_more(active, previous) is expected


@pytest.mark.parametrize("share", [0.01, 0.1, 0.4])
def test_versions_alike_are_told_apart_as_seldom_as_is_stated_however_often_one_looks(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of twelve looks at the same previous version, only the first bounds it: the rest remember.
    monkeypatch.setattr(live_calls, "_most_broken", cache(live_calls._most_broken))
    random = Random(17)
    told = 0
    for _ in range(300):
        previous = calls(sum(random.random() < share for _ in range(400)), 400)
        broken = 0
        for call in range(1, 301):
            broken += random.random() < share
            if call % 25 == 0 and breaks_more(calls(broken, call), previous):
                told += 1
                break
    assert told <= 300 * ERROR + 3 * (300 * ERROR) ** 0.5


@pytest.mark.parametrize(
    ("found", "many"),
    [
        (calls(4, 4), False),
        (calls(5, 5), True),
        (calls(5, 100), True),
        (calls(5, 101), False),
        (calls(0, 0), False),
    ],
)
def test_few_broken_contracts_say_nothing_whatever_part_they_are(found: Calls, many: bool) -> None:
    assert found.many_broken is many
