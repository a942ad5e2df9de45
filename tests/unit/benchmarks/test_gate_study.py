"""The simulation of the gate runs, and it would notice a gate that errs too often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

import pytest

from benchmarks.gate.__main__ import Study, main
from benchmarks.gate.scenarios import WORLDS
from benchmarks.gate.study import Rate
from prompt_hub.gate.types import Conclusion, Status

T = TypeVar("T")


class Inline(Executor):
    """Works in this process, where the gate can be replaced."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[object], **_: object) -> Iterator[T]:  # type: ignore[override]
        return map(fn, *iterables)


@pytest.mark.processes
def test_a_small_study_finds_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "20", "--worlds", "1", "--processes", "1"]) == 0
    message = capsys.readouterr().out
    assert "rare losses only, n=48" in message
    assert "Every error is at most as frequent as stated" in message


@pytest.mark.parametrize(
    ("status", "failing"),
    [
        (Status.PASS, ["worse by the margin, passed"]),
        (Status.BLOCK, ["equal, blocked", "at the margin, blocked"]),
    ],
)
def test_a_gate_that_errs_is_found(
    monkeypatch: pytest.MonkeyPatch, status: Status, failing: list[str]
) -> None:
    monkeypatch.setattr(
        "prompt_hub.evaluation.looks.decide", lambda *_, **__: Conclusion(status, ("by decree",))
    )
    study = Study(Inline(), runs=40)
    study.errors(WORLDS[0])
    assert len(study.failures) == len(failing)
    for failure, words in zip(study.failures, failing, strict=True):
        assert words in failure


def test_a_rate_exceeds_only_beyond_its_own_noise() -> None:
    assert not Rate(13, 100).exceeds(0.1)
    assert Rate(300, 1000).exceeds(0.1)
    assert not Rate(0, 10).exceeds(0.0)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_worlds_are_as_bad_as_they_say(world: object) -> None:
    from random import Random

    from benchmarks.gate.scenarios import World

    assert isinstance(world, World)
    random, drop = Random(7), 0.1
    lost, weights = 0.0, 0.0
    for example in world.examples(10) * 2000:
        candidate, champion = world.draw(random, drop, example)
        lost += example.weight * (champion() - candidate())
        weights += example.weight
    assert lost / weights == pytest.approx(drop, abs=0.015)
