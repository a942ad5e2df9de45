"""The power that verdicts state is that of the gate's own decisions, outcome by outcome."""

from __future__ import annotations

import math

import pytest

from prompt_hub.gate.power import DesignEffect, GateTest
from prompt_hub.gate.types import Status
from tests.unit.evaluation.evidence import decided, evidence, examples

MARGIN = 0.3


def summed_up(count: int, wins: float, losses: float, status: Status) -> float:
    """Chance of a status, by asking the gate about every outcome there can be."""
    chance = 0.0
    for won in range(count + 1):
        for lost in range(count + 1 - won):
            even = count - won - lost
            ways = math.factorial(count) / math.prod(map(math.factorial, (won, lost, even)))
            share = ways * wins**won * losses**lost * (1 - wins - losses) ** even
            scores = [1.0] * won + [0.0] * lost + [1.0] * even
            champion = [0.0] * won + [1.0] * lost + [1.0] * even
            found = decided(evidence(scores, champion), margin=MARGIN)
            chance += share * (found.status is status)
    return chance


@pytest.mark.parametrize(("wins", "losses"), [(0.1, 0.1), (0.0, 0.02), (0.3, 0.1), (0.05, 0.6)])
def test_chances_are_those_of_the_gates_decisions(wins: float, losses: float) -> None:
    count = 16
    test = GateTest(MARGIN, 0.1, 1.0, DesignEffect.of(examples(count)))
    passed = summed_up(count, wins, losses, Status.PASS)
    blocked = summed_up(count, wins, losses, Status.BLOCK)
    assert test.power_to_pass(count, wins, losses) == pytest.approx(passed, abs=1e-4)
    assert test.power_to_block(count, wins, losses) == pytest.approx(blocked, abs=1e-4)


def test_even_weights_weigh_nothing_and_uneven_ones_less() -> None:
    assert DesignEffect.of(examples(20, weights=[3.0] * 20)) == DesignEffect(1.0, 1.0)
    uneven = DesignEffect.of(examples(4, weights=[1.0, 1.0, 1.0, 3.0]))
    assert uneven.effective == pytest.approx(0.75)
    assert uneven.reach == pytest.approx(2 / 3)
