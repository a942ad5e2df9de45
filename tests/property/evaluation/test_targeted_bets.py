"""No stake knows the example it is on: nobody who doubts with reason grows richer on average."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prompt_hub.gate.targeted_bets import Betting, TargetedTest

ALPHA = 0.1
VALUE = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
EXAMPLE = st.tuples(VALUE, st.sampled_from([1.0, 3.0, 6.0]))


@pytest.mark.parametrize("betting", get_args(Betting))
@given(data=st.data())
def test_capital_does_not_grow_on_average_whatever_comes_next(
    betting: Betting, data: st.DataObject
) -> None:
    before = data.draw(st.lists(EXAMPLE, max_size=40))
    left = data.draw(st.integers(0, 40))
    target = data.draw(st.sampled_from([0.4, 0.45, 0.475, 0.49, 0.55]))
    # Of all distributions with the mean in doubt those on two points are enough; weights count.
    (value, weight), (other, its_weight) = data.draw(EXAMPLE), data.draw(EXAMPLE)
    up, down = weight * (value - target), its_weight * (target - other)
    assume(up > 1e-6 and down > 1e-6)
    share = down / (up + down)
    whole = [*(weight for _, weight in before), 1.0, *[1.0, 3.0, 6.0] * left, 6.0]

    def capital(*after: tuple[float, float]) -> float:
        test = TargetedTest.of([[*before, *after]], whole, ALPHA, (1.0,), target, betting=betting)
        return math.exp(min(50.0, test._excess(target)))

    now = capital()
    then = share * capital((value, weight)) + (1 - share) * capital((other, its_weight))
    assert then <= now * (1 + 1e-9) + 1e-12
    assert capital((value, weight)) >= 0


@given(st.sampled_from([0.4, 0.45, 0.475]), st.integers(1, 120))
def test_capital_starts_at_one(target: float, size: int) -> None:
    test = TargetedTest.of([[]], [1.0] * size, ALPHA, (1.0,), target)
    assert math.exp(test._excess(target)) == pytest.approx(ALPHA)
