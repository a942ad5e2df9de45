"""The benchmark of the score watch, small: its promises hold, and a broken one fails it."""

from __future__ import annotations

import pytest

from benchmarks.watch import __main__ as study
from benchmarks.watch.scenarios import FALLING, HEALTHY, SIZE, THRESHOLD


def test_no_healthy_world_is_below_its_threshold_with_a_better_way_back() -> None:
    for world in HEALTHY:
        fallen = sum(world.active) / SIZE < world.threshold - 1e-9
        better = sum(world.control) > sum(world.active) + 1e-9
        assert not (fallen and better), world.name


def test_every_falling_world_ends_below_its_threshold() -> None:
    for world in FALLING:
        assert sum(world.chances(10**6)) / SIZE < THRESHOLD, world.name


@pytest.mark.processes
def test_the_promises_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["--months", "1", "--trials", "2", "--processes", "2"]) == 0
    assert "Every promise is kept" in capsys.readouterr().out


@pytest.mark.processes
def test_a_broken_promise_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study, "RUN_SECONDS", 10)
    monkeypatch.setattr(study, "HEALTHY", ())
    monkeypatch.setattr(study, "FALLING", [w for w in FALLING if w.name == "total failure"])
    assert study.main(["--months", "1", "--trials", "2", "--processes", "1"]) == 1
    assert "FAILED  total failure: not seen in one run" in capsys.readouterr().out
