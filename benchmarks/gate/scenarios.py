"""Worlds in which the truth is known: how candidate and champion score on a set of examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from prompt_hub.repository.schema import Example, Gate

Asked = Callable[[], float]
"""The score of one arm on one example, drawn anew each time it is asked."""


@dataclass(frozen=True)
class World:
    """One kind of task. `draw` makes both arms of one example, the candidate worse by `drop`.

    The drop is that of the weighted mean over the world's own examples.
    """

    name: str
    size: int
    gate: Gate
    draw: Callable[[Random, float, Example], tuple[Asked, Asked]]
    weights: tuple[float, ...] = (1.0,)
    tags: tuple[str, ...] = ()
    sampled: bool = False

    def examples(self, size: int | None = None) -> tuple[Example, ...]:
        """The examples; weights and tags repeat along them."""
        return tuple(
            Example(
                id=f"e{number:05}",
                input={},
                expected={},
                weight=self.weights[number % len(self.weights)],
                tags=self.tags[number % len(self.tags) :][:1] if self.tags else (),
            )
            for number in range(size or self.size)
        )


def always(score: float) -> Asked:
    """A model that is not sampled gives the same answer again."""
    return lambda: score


def right(random: Random, probability: float) -> float:
    """1 with a probability, or else 0."""
    return float(random.random() < probability)


def rare_losses(random: Random, drop: float, _: Example) -> tuple[Asked, Asked]:
    """The candidate answers as the champion does, but for losses."""
    champion = right(random, 0.96)
    lost = champion and random.random() < drop / 0.96
    return always(0.0 if lost else champion), always(champion)


def some_differences(random: Random, drop: float, _: Example) -> tuple[Asked, Asked]:
    """A tenth of the answers differ."""
    differing = max(0.1, drop)
    chance = random.random()
    if chance < (differing - drop) / 2:
        return always(1.0), always(0.0)
    if chance < differing:
        return always(0.0), always(1.0)
    same = right(random, 0.85)
    return always(same), always(same)


def often_different(random: Random, drop: float, _: Example) -> tuple[Asked, Asked]:
    """Three in ten answers differ."""
    chance = random.random()
    if chance < (0.3 - drop) / 2:
        return always(1.0), always(0.0)
    return (always(0.0), always(1.0)) if chance < 0.3 else (always(1.0), always(1.0))


def independent(random: Random, drop: float, _: Example) -> tuple[Asked, Asked]:
    """Both are right by their own luck."""
    return always(right(random, 0.85 - drop)), always(right(random, 0.85))


def graded(random: Random, drop: float, _: Example) -> tuple[Asked, Asked]:
    """Four fields, right or wrong together with the difficulty of the example."""
    chance = random.choice((0.7, 0.9, 0.98))

    def share(probability: float) -> float:
        return sum(right(random, probability) for _ in range(4)) / 4

    return always(share(chance - drop)), always(share(chance))


def repeated(random: Random, drop: float, _: Example) -> tuple[Asked, Asked]:
    """A sampled model: easy, middling and hard examples, answered by chance each time."""
    chance = random.choice((0.5, 0.9, 1.0))
    lower = chance * (1 - drop / 0.8)
    return lambda: right(random, lower), lambda: right(random, chance)


def heavy_losses(random: Random, drop: float, example: Example) -> tuple[Asked, Asked]:
    """All that is lost is lost on the heaviest examples."""
    heaviest = max(SKEWED)
    share = heaviest * SKEWED.count(heaviest) / sum(SKEWED)
    champion = right(random, 0.9)
    if example.weight < heaviest:
        return always(champion), always(champion)
    return always(right(random, 0.9 - drop / share)), always(right(random, 0.9))


SKEWED = (1.0,) * 8 + (3.0, 6.0)

WORLDS = (
    World("rare losses only, n=48", 48, Gate(margin=0.05), rare_losses),
    World("rare losses only, n=120", 120, Gate(margin=0.05), rare_losses),
    World("one in ten differs, n=48", 48, Gate(margin=0.1), some_differences),
    World("one in ten differs, n=120", 120, Gate(margin=0.1), some_differences),
    World("one in ten differs, tags", 200, Gate(margin=0.1), some_differences, tags=tuple("abcde")),
    World("three in ten differ", 200, Gate(margin=0.1), often_different),
    World("independent noise", 200, Gate(margin=0.1), independent),
    World("graded, four fields", 200, Gate(margin=0.05), graded),
    World("skewed weights, heavy losses", 200, Gate(margin=0.1), heavy_losses, weights=SKEWED),
    World("sampled, up to 4 repeats", 150, Gate(margin=0.1, repeats=4), repeated, sampled=True),
    World("many examples, looks", 800, Gate(margin=0.05), some_differences),
)
