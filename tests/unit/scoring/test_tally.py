"""Weights summed up by what is expected, beyond the values that are kept as they are."""

import pytest
from pydantic import JsonValue

from prompt_hub.core.slots import Slots
from prompt_hub.scoring import tally
from prompt_hub.scoring.comparison import identity


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep 64 bits of every value."""
    monkeypatch.setattr(tally, "MANY", 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [(-1, -2), (-1.0, -2.0), ([-1], [-2]), ({"a": -1}, {"a": -2}), ({"a": [-1]}, {"a": [-2]})],
)
def test_minus_one_is_not_minus_two(one: JsonValue, other: JsonValue) -> None:
    """Python has the same hash for both."""
    weights = tally.Tally()
    weights.add(identity(one), 1.0)
    weights.add(identity(other), 2.0)
    assert (weights[identity(one)], weights[identity(other)]) == (1.0, 2.0)


def test_values_that_are_equal_are_one() -> None:
    weights = tally.Tally()
    for value in (1, 1.0, -1, -1.0):
        weights.add(identity(value), 1.0)
    weights.add(identity({"a": 1, "b": None}), 1.0)
    assert weights[identity(1)] == weights[identity(-1.0)] == 2.0
    assert weights[identity({"a": 1.0})] == 1.0
    assert weights[identity(True)] == 0.0


@pytest.mark.parametrize("step", [1 / 64, 0.01, float(1 << 20)])
def test_places_of_numbers_do_not_pile_up(step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices of 40,000 examples took a minute, where names took a twentieth of a second."""
    places = set[int]()

    class Seen(Slots):
        def __setitem__(self, key: int, value: float) -> None:
            places.add(key % (1 << 16))
            super().__setitem__(key, value)

    monkeypatch.setattr(tally, "Slots", Seen)
    weights = tally.Tally()
    for number in range(1000):
        weights.add(identity(number * step), 1.0)
    assert len(places) > 900
