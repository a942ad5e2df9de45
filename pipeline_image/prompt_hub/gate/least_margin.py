"""What margin a set of examples can show at all: where every answer equals the champion's."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prompt_hub.core.exact import stated

if TYPE_CHECKING:
    from prompt_hub.gate.types import GateExample
    from prompt_hub.repository.schema import Gate

_NEARLY = 1e-9
"""A capital that is short of its goal by such a part has reached it, as in `targeted_bets.py`."""


def least_margin(examples: Sequence[GateExample], gate: Gate, *, sampled: bool) -> float:
    """Return the least margin, in thousandths, that a candidate can pass whose answers are equal.

    With a narrower one these examples keep every comparison open after the first round. On ties
    all that is staked is won, so no stakes make more of a capital than the whole of it on every
    example; and the gate sets aside what reaches the goal that way (`targeted_bets.Division`). So
    no bets need playing: an example of weight w, the heaviest being 1, multiplies the capital by
    1 + w m / (1 - m) at a margin of m, and the goal is one over the chance of error.

    Args:
        examples: what is scored.
        gate: its confidence, and whether examples may be asked again.
        sampled: whether asking an example again can give another answer.
    """
    weights = Counter(example.weight for example in examples)
    heaviest = max(weights)
    goal = -math.log(1 - stated(gate.confidence))
    if sampled and gate.repeats > 1:
        goal += math.log(2)  # The first round has half of the capital: `round_allocation`.

    def passes(thousandths: int) -> bool:
        if thousandths == 1000:  # A margin of 1 accepts every loss.
            return True
        gain = thousandths / (1000 - thousandths)
        logs = (n * math.log1p(weight / heaviest * gain) for weight, n in weights.items())
        return math.fsum(logs) >= goal - _NEARLY

    margins = range(1, 1001)
    return margins[bisect_left(margins, True, key=passes)] / 1000
