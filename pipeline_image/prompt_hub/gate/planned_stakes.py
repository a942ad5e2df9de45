"""Stakes for the end of a set, planned backwards from its last example.

Few examples are left and one loss takes much: there the stakes of Brownian motion give away a
third of the chance to reach the goal. So the best stakes are worked out step by step (dynamic
programming): what gives the greatest chance to reach the goal in so many steps, if something is
won in one step of twenty and lost in one of twenty, and otherwise nothing differs. A step is a
piece of the set in which all that is staked earns `STEP` if nothing differs: about one example at
a margin of 0.1, two at 0.05. So one plan serves all margins, confidences and numbers of examples.

What is supposed here decides about power alone: any stake that is chosen before its example is
seen keeps the expectation of the capital (docs/gate.md).
"""

from __future__ import annotations

import math
from functools import cache

STEP = 0.1
"""What a whole stake earns in a step if nothing differs."""
STEPS = 80
"""So many are planned; with more to go Brownian motion serves."""
_RATE = 0.1
"""How often something is won or lost in a step; what it truly is makes little of a difference."""
_LEAST = 0.01
"""The smallest part of the goal that is planned with; less stakes like it."""
_CUTS = 12
"""So many stakes are weighed against each other."""
_UNIT = math.log1p(STEP) / _CUTS
"""Of the grid of capitals, in logarithms: a step without a difference is a whole number of them."""
_STAKES = tuple(math.expm1(cut * _UNIT) / STEP for cut in range(_CUTS + 1))
_SIZE = math.ceil(-math.log(_LEAST) / _UNIT)


def planned_stake(hand: float, steps: float, spread: float) -> float:
    """Return the share of capital to stake.

    Args:
        hand: what is in hand, as a part of the goal.
        steps: how many are left, up to `STEPS`; the last may be a part of one.
        spread: standard deviation of what a step earns without a difference, as a part of it: of
            examples with uneven weights nobody knows which come last.
    """
    stakes = _plan(min(1.0, round(spread, 1)))[max(1, math.floor(steps)) - 1]
    place = math.floor(_SIZE + math.log(max(_LEAST, hand)) / _UNIT + 1e-9)
    return min(1.0, _STAKES[stakes[min(max(0, place), _SIZE - 1)]] / min(1.0, steps))


@cache
def _plan(spread: float) -> tuple[bytes, ...]:
    """Best stakes by steps left (from 1) and capital in hand, as places in `_STAKES`."""
    chances = [0.0] * _SIZE
    plan = []
    for _ in range(STEPS):
        # The goal is reached above the grid, nothing below it.
        padded = [0.0] * _SIZE + chances + [1.0] * _SIZE
        by_stake = zip(*(_chances(cut, padded, spread) for cut in range(_CUTS + 1)), strict=True)
        chances, best = [], bytearray()
        for options in by_stake:
            chances.append(max(options))
            best.append(options.index(chances[-1]))
        plan.append(bytes(best))
    return tuple(plan)


def _chances(cut: int, padded: list[float], spread: float) -> list[float]:
    """Chances to reach the goal after a step with one of the stakes, by capital before it."""

    def after(units: int) -> list[float]:
        start = max(0, _SIZE + units)
        return padded[start : start + _SIZE]

    stake = _STAKES[cut]
    lost = after(math.floor(math.log(1 - stake) / _UNIT) if stake < 1 else -_SIZE)
    won = after(math.floor(math.log1p(stake * (1 + 2 * STEP)) / _UNIT))
    tied = after(cut)
    if cut and spread:
        # What ties earn is spread on the grid: a little more or less, each as often as fits.
        away = math.ceil(cut * spread)
        aside = (cut * spread / away) ** 2 / 2
        around = zip(tied, after(cut - away), after(cut + away), strict=True)
        tied = [(1 - 2 * aside) * same + aside * (less + more) for same, less, more in around]
    return [
        (1 - _RATE) * same + _RATE / 2 * (worse + better)
        for same, worse, better in zip(tied, lost, won, strict=True)
    ]
