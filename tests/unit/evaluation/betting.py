"""Samples to bet on."""

from __future__ import annotations

from prompt_hub.gate.confidence_sequence import (
    BettingPlan,
    WeightedObservations,
)

ALPHA = 0.1


def sample(pairs: list[tuple[float, float]]) -> WeightedObservations:
    return WeightedObservations.of([pairs], BettingPlan.on([weight for _, weight in pairs], ALPHA))
