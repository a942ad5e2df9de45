"""Evaluations in a known world, decided by the product's own looks and gate."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import NormalDist, fmean, stdev
from typing import Literal

from benchmarks.gate.opponents import client
from benchmarks.gate.scenarios import Asked, World
from prompt_hub.evaluation.example_results import ArmName, ExampleResult
from prompt_hub.evaluation.looks import SequentialResult, measure_until_decided
from prompt_hub.gate.power import with_power
from prompt_hub.gate.rules import GATE_VERSION, GateVersion, alpha_of
from prompt_hub.gate.targeted_bets import TargetedTest
from prompt_hub.gate.types import Power, Status
from prompt_hub.repository.schema import Example, Metadata

Rules = Literal["none", "ours", "all"]
"""Whom else to ask about an evaluation: nobody, what needs no package, everybody."""
CHUNK = 100
"""Evaluations that a worker process makes at a time."""


@dataclass(frozen=True)
class Rate:
    """A share of evaluations, with its Monte-Carlo standard error."""

    hits: int
    runs: int

    @property
    def value(self) -> float:
        return self.hits / self.runs

    @property
    def error(self) -> float:
        """Never zero: what did not happen in so many runs may still happen."""
        share = (self.hits + 0.5) / (self.runs + 1)
        return math.sqrt(share * (1 - share) / self.runs)

    def exceeds(self, nominal: float) -> bool:
        """Whether the true share is above `nominal`, beyond three standard errors."""
        return self.value - nominal > 3 * self.error

    def __str__(self) -> str:
        return f"{self.value:.3f}±{self.error:.3f}"


@dataclass(frozen=True)
class Outcome:
    """One evaluation: its verdict, calls of both arms together, and what others would say."""

    status: Status
    calls: int
    looks: int
    passes: Mapping[str, bool]
    """By rule: the gate before this one, a z-test, the opponents where they were asked."""


@dataclass(frozen=True)
class Outcomes:
    """Many evaluations of one world."""

    all: tuple[Outcome, ...]

    def rate(self, status: Status) -> Rate:
        return Rate(sum(outcome.status is status for outcome in self.all), len(self.all))

    def passed(self, rule: str) -> Rate:
        """How often another rule passes the candidate."""
        return Rate(sum(outcome.passes[rule] for outcome in self.all), len(self.all))

    @property
    def calls(self) -> float:
        """Mean calls of both arms."""
        return fmean(outcome.calls for outcome in self.all)


def metadata(world: World) -> Metadata:
    """Metadata under which only the comparison with the champion can fail."""
    return Metadata.model_validate(
        {
            "schema": "prompt-hub/metadata@1",
            "task": "simulated",
            "owner": "benchmark",
            "description": world.name,
            "version": "1.0.0",
            "candidate": "00-templates/simulated.yaml",
            "up_to_date": dict.fromkeys(("examples", "input", "output"), "0" * 64),
            "threshold": 0.0,
            "scorers": [{"type": "exact"}],
            "gate": world.gate.model_dump(),
        }
    )


async def evaluate(
    world: World,
    settings: Metadata,
    examples: Sequence[Example],
    arms: Mapping[str, tuple[Asked, Asked]],
    gate_version: GateVersion = GATE_VERSION,
) -> SequentialResult:
    """One evaluation of what candidate and champion answer to each example."""

    async def ask(arm: ArmName, asked: Sequence[Example], repeat: int) -> list[ExampleResult]:
        which = 0 if arm == "candidate" else 1
        return [
            ExampleResult(id=example.id, score=arms[example.id][which](), repeat=repeat)
            for example in asked
        ]

    return await measure_until_decided(
        examples,
        "simulated",
        settings,
        ("candidate", "champion"),
        ask,
        sampled=world.sampled,
        gate_version=gate_version,
    )


def _chunk(
    world: World, drop: float, size: int | None, rules: Rules, seeds: range
) -> list[Outcome]:
    return asyncio.run(_evaluations(world, drop, size, rules, seeds))


async def _evaluations(
    world: World, drop: float, size: int | None, rules: Rules, seeds: range
) -> list[Outcome]:
    settings, examples = metadata(world), world.examples(size)
    weights = [example.weight for example in examples]
    alpha = alpha_of(world.gate)
    outcomes = []
    for seed in seeds:
        random = Random(f"{world.name}:{drop}:{seed}")
        arms = {example.id: world.draw(random, drop, example) for example in examples}
        sequential = await evaluate(world, settings, examples, arms)
        passes: dict[str, bool] = {}
        if rules != "none":
            differences = [candidate() - champion() for candidate, champion in arms.values()]
            before = await evaluate(world, settings, examples, arms, "1")
            passes["before"] = before.conclusion.status is Status.PASS
            passes["z"] = passes_z(differences, world.gate.margin, alpha)
            if rules == "all":
                passes |= client.verdicts(differences, weights, world.gate.margin, alpha)
        outcomes.append(
            Outcome(
                sequential.conclusion.status,
                sum(len(details) for details in sequential.details.values()),
                sequential.looks,
                passes,
            )
        )
    return outcomes


def simulate(
    pool: Executor,
    world: World,
    drop: float,
    runs: int,
    size: int | None = None,
    rules: Rules = "none",
) -> Outcomes:
    """`runs` evaluations of a candidate worse by `drop`, on `size` examples."""
    chunks = [range(start, min(start + CHUNK, runs)) for start in range(0, runs, CHUNK)]
    found: Iterable[list[Outcome]] = pool.map(partial(_chunk, world, drop, size, rules), chunks)
    return Outcomes(tuple(outcome for outcomes in found for outcome in outcomes))


def passes_z(differences: Sequence[float], margin: float, alpha: float) -> bool:
    """What a gate says that takes the mean of few differences for normally distributed."""
    half = NormalDist().inv_cdf(1 - alpha) * stdev(differences) / math.sqrt(len(differences))
    return fmean(differences) - half >= -margin


def passes_at_once(differences: Sequence[float], margin: float, alpha: float) -> bool:
    """What the gate's test says of examples of equal weight that are all looked at at once."""
    pairs = [((1 + difference) / 2, 1.0) for difference in differences]
    return TargetedTest.of([pairs], [1.0] * len(pairs), alpha, (1.0,), (1 - margin) / 2).shown


def fixed_size(
    world: World, passes: Callable[[Sequence[float], float, float], bool], power: float, runs: int
) -> int:
    """Examples with which a test of fixed size passes an equal candidate so often."""
    alpha = alpha_of(world.gate)

    def chance(size: int) -> float:
        random = Random(f"{world.name}:{size}")
        examples = world.examples(size)
        hits = 0
        for _ in range(runs):
            arms = (world.draw(random, 0.0, example) for example in examples)
            differences = [candidate() - champion() for candidate, champion in arms]
            hits += passes(differences, world.gate.margin, alpha)
        return hits / runs

    low, high = 2, world.size
    while chance(high) < power:
        low, high = high, 2 * high
    while high - low > max(1, world.size // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= power else (middle, high)
    return high


def stated_power(world: World, evaluations: int) -> Power:
    """What verdicts in this world say about their power: the median of several."""
    return asyncio.run(_stated_power(world, evaluations))


async def _stated_power(world: World, evaluations: int) -> Power:
    settings, examples = metadata(world), world.examples()
    found = []
    for seed in range(evaluations):
        random = Random(f"power:{world.name}:{seed}")
        arms = {example.id: world.draw(random, 0.0, example) for example in examples}
        sequential = await evaluate(world, settings, examples, arms)
        assert sequential.evidence is not None
        power = with_power(
            sequential.conclusion, sequential.evidence, settings.threshold, settings.gate
        ).power
        assert power is not None
        found.append(power)
    return sorted(found, key=lambda power: power.needed or math.inf)[len(found) // 2]
