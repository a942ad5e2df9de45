"""What the rounds of a run ask of a set: all of a small one, samples of a large one."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from prompt_hub.ledger.detector import FOLLOW_UPS
from prompt_hub.monitoring import samples
from prompt_hub.monitoring.samples import RoundSamples, examples_of_round
from prompt_hub.repository.schema import Example


def examples(count: int) -> Iterator[Example]:
    """Yield so many scored examples, and a heavier shot before each."""
    for number in range(count):
        content = {"input": {"title": "Relay"}, "expected": {"part_class": "relay"}}
        shot = {"id": f"shot-{number}", **content, "split": "shot", "weight": 99.0}
        scored = {"id": f"part-{number}", **content, "weight": 1.0 + number / 1000}
        yield Example.model_validate(shot)
        yield Example.model_validate(scored)


def names(drawn: RoundSamples, number: int) -> list[str]:
    return [example.id for example in drawn.rounds[number]]


def test_every_round_asks_all_of_a_small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_ASKED", 7)
    drawn = RoundSamples(examples(7), Random(1))
    whole = [f"part-{number}" for number in range(7)]
    assert [names(drawn, number) for number in range(1 + FOLLOW_UPS)] == [whole] * 5
    assert [example.id for example in drawn.all()] == whole
    assert (drawn.count, drawn.heaviest) == (7, 1.006)


@pytest.mark.parametrize(
    ("part", "scored", "asked"),
    [
        *((1.0, 0, 0), (1.0, 48, 48), (1.0, 2000, 2000), (1.0, 2001, 2000)),
        *((0.07, 100, 7), (0.5, 7, 4), (0.001, 1_000_000, 1000), (0.5, 1_000_000, 2000)),
    ],
)
def test_a_first_round_asks_its_part_and_no_more_than_a_budget_has_calls(
    part: float, scored: int, asked: int
) -> None:
    assert examples_of_round(part, scored) == asked


def test_each_round_draws_for_itself_of_a_large_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_ASKED", 7)
    drawn = RoundSamples(examples(100), Random(1))
    found = [names(drawn, number) for number in range(1 + FOLLOW_UPS)]
    assert [len({*each}) for each in found] == [7] * 5
    assert len({frozenset(each) for each in found}) == 5
    assert {example.id for example in drawn.all()} == {name for each in found for name in each}
    # The weights of the evidence are relative to the heaviest of all, asked or not.
    assert (drawn.count, drawn.heaviest) == (100, 1.099)


def test_every_example_has_the_same_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_ASKED", 4)
    whole, random = [*examples(40)], Random(1)
    counts = Counter(
        name for _ in range(400) for r in (RoundSamples(whole, random),) for name in names(r, 0)
    )
    # 40 each, with a standard deviation of 6.
    assert (len(counts), sum(counts.values())) == (40, 1600)
    assert 40 - 5 * 6 < min(counts.values()) <= max(counts.values()) < 40 + 5 * 6


def test_nothing_is_kept_that_no_round_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_ASKED", 10)
    made: list[weakref.ref[Example]] = []
    most = 0

    def watched() -> Iterator[Example]:
        nonlocal most
        for example in examples(2000):
            made.append(weakref.ref(example))
            yield example
            if len(made) % 100 == 0:
                most = max(most, sum(each() is not None for each in made))

    RoundSamples(watched(), Random(1))
    # Those of five rounds, and the ones that are at hand.
    assert 40 <= most <= 5 * 10 + 3
