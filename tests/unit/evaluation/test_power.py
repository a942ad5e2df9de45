"""The power that verdicts state is that of the gate's own decisions, outcome by outcome."""

from __future__ import annotations

import math
from random import Random

import pytest

from prompt_hub.gate.least_margin import least_margin
from prompt_hub.gate.power import DesignEffect, GateTest
from prompt_hub.gate.rules import decide
from prompt_hub.gate.targeted_bets import TargetedTest
from prompt_hub.gate.types import Status
from prompt_hub.repository.schema import Gate, Limits
from tests.unit.evaluation.evidence import evidence, examples

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
            found = decide(
                evidence(scores, champion),
                threshold=0.0,
                gate=Gate(margin=MARGIN),
                limits=Limits(),
                version="1",
            )
            chance += share * (found.status is status)
    return chance


@pytest.mark.parametrize(("wins", "losses"), [(0.1, 0.1), (0.0, 0.02), (0.3, 0.1), (0.05, 0.6)])
def test_chances_are_those_of_the_first_gates_decisions(wins: float, losses: float) -> None:
    count = 16
    test = GateTest(MARGIN, 0.1, 1.0, DesignEffect.of([1.0] * count), "1")
    passed = summed_up(count, wins, losses, Status.PASS)
    blocked = summed_up(count, wins, losses, Status.BLOCK)
    assert test.power_to_pass(count, wins, losses) == pytest.approx(passed, abs=1e-4)
    assert test.power_to_block(count, wins, losses) == pytest.approx(blocked, abs=1e-4)


@pytest.mark.parametrize(
    ("count", "margin", "wins", "losses"),
    [
        (45, 0.05, 0.0, 0.0),
        (44, 0.05, 0.0, 0.0),
        (64, 0.05, 0.01, 0.01),
        (60, 0.2, 0.1, 0.1),
        (120, 0.1, 0.02, 0.08),
        (150, 0.1, 0.15, 0.15),
    ],
)
def test_chances_are_about_those_of_the_gates_decisions(
    count: int, margin: float, wins: float, losses: float
) -> None:
    test = GateTest(margin, 0.1, 1.0, DesignEffect(1.0, 1.0))
    random, runs = Random(count), 200

    def drawn() -> float:
        chance = random.random()
        return 1.0 if chance < wins else 0.0 if chance < wins + losses else 0.5

    def shown(target: float, values: list[float]) -> bool:
        pairs = [(value, 1.0) for value in values]
        return TargetedTest.of([pairs], [1.0] * count, 0.1, (1.0,), target).shown

    sets = [[drawn() for _ in range(count)] for _ in range(runs)]
    passed = sum(shown((1 - margin) / 2, values) for values in sets) / runs
    blocked = (
        sum(shown((1 + margin) / 2, [1 - value for value in values]) for values in sets) / runs
    )
    assert test.power_to_pass(count, wins, losses) == pytest.approx(passed, abs=0.1)
    assert test.power_to_block(count, wins, losses) == pytest.approx(blocked, abs=0.1)


def test_even_weights_weigh_nothing_and_uneven_ones_less() -> None:
    assert DesignEffect.of([3.0] * 20) == DesignEffect(1.0, 1.0)
    uneven = DesignEffect.of([1.0, 1.0, 1.0, 3.0])
    assert uneven.effective == pytest.approx(0.75)
    assert uneven.reach == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("weights", "gate", "sampled"),
    [
        ([1.0] * 8, Gate(), True),
        ([1.0] * 65, Gate(), False),
        ([1.0] * 40, Gate(confidence=0.99, first_look=16, tags={"a": 0.5}, tag_margin=0.01), False),
        ([1.0, 7.25, 0.5] * 7, Gate(confidence=0.6, repeats=3), False),
        ([1.0, 7.25, 0.5] * 7, Gate(confidence=0.6, repeats=3), True),
        ([1.0] * 48, Gate(repeats=3), True),
        ([1.0] * 6, Gate(repeats=2), True),
    ],
)
def test_the_least_margin_is_where_the_gate_begins_to_pass_equal_answers(
    weights: list[float], gate: Gate, sampled: bool
) -> None:
    asked = examples(len(weights), weights=weights)

    def decided(margin: float, rounds: int = 1) -> Status:
        scores = [[1.0] * rounds] * len(weights)
        tried = gate.model_copy(update={"margin": margin, "tags": {}})
        equal = evidence(scores, scores, of=asked, sampled=sampled)
        return decide(equal, threshold=0.0, gate=tried, limits=Limits()).status

    least = least_margin(asked, gate, sampled=sampled)
    assert decided(least) is Status.PASS
    assert decided(least, gate.repeats if sampled else 1) is Status.PASS
    assert decided(round(least - 0.001, 3)) is Status.INCONCLUSIVE
