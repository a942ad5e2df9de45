"""What bench-local makes of commands that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks.local.__main__ as bench
from benchmarks.eval.measuring import MeasurementError
from benchmarks.local.checkouts import Checkout, Spent
from benchmarks.results import Ratio, Recording, load

SAME = (1000, 1000)
"""As many assertions in both trees."""


def spent(wall: float, failure: str = "", *printed: str) -> Spent:
    lines = tuple((1.0, line) for line in printed)
    return Spent(command="make test", wall=wall, cpu=wall, lines=lines, failure=failure)


def ratio(name: str) -> Ratio:
    return Ratio(name=name, value=0.3, limit=0.4, at_most=True)


def test_failing_tests_of_the_older_tree_count_and_are_said() -> None:
    wall, cpu = bench._beside("make test", spent(30), spent(100, "3 failed"), 0.5, assertions=SAME)
    assert (wall.value, cpu.value) == (0.3, 0.3)
    assert "some tests fail there" in wall.beside


@pytest.mark.parametrize(
    "said",
    [
        "E           AssertionError: the container did not hold within 20 s",
        "E   subprocess.TimeoutExpired: Command '['make', 'up']' timed out after 60 seconds",
        "E       TimeoutError",
    ],
)
def test_older_tests_that_failed_at_a_time_limit_prove_nothing(said: str) -> None:
    ratios = bench._beside(
        "make test", spent(30), spent(100, "1 failed", said), 0.5, assertions=SAME
    )
    assert [each.value for each in ratios] == [0.3, 0.3]
    assert not any(each.kept for each in ratios)
    assert {each.outcome for each in ratios} == {
        "NOT PROVEN: tests of the older tree waited for their time limits"
    }
    missed = bench._beside(
        "make test", spent(60), spent(100, "1 failed", said), 0.5, assertions=SAME
    )
    assert {each.outcome for each in missed} == {"MISSED"}


def test_older_tests_that_failed_otherwise_or_spoke_of_time_limits_count() -> None:
    said = ("E       assert 3 == 4", "WARNING: the first attempt timed out")
    for before in (spent(100, "1 failed", *said), spent(100, "", "E   TimeoutError")):
        ratios = bench._beside("make test", spent(30), before, 0.5, assertions=SAME)
        assert {each.outcome for each in ratios} == {"ok"}


def test_seconds_of_tests_are_those_of_an_assertion() -> None:
    wall, _ = bench._beside("make test", spent(90), spent(100), 0.5, assertions=(3000, 1000))
    assert wall.value == pytest.approx(0.3)
    assert wall.name == "make test: wall seconds an assertion, of those before"
    assert (wall.measured, wall.beside) == ("90 s", f"{bench.BEFORE_PERFORMANCE}: 100 s")


@pytest.mark.parametrize("assertions", [SAME, None])
def test_a_command_of_ours_that_fails_has_no_seconds(assertions: tuple[int, int] | None) -> None:
    with pytest.raises(MeasurementError, match="our `make test` failed: 3 failed"):
        bench._beside("make test", spent(30, "3 failed"), spent(100), 0.5, assertions=assertions)


def test_an_older_first_run_that_fails_has_no_seconds() -> None:
    with pytest.raises(MeasurementError, match="the older tree's"):
        bench._beside("make up", spent(30), spent(100, "no disk"), 0.4)


def test_ratios_are_kept_as_they_come(tmp_path: Path) -> None:
    recording = Recording("local", tmp_path)
    for name in ("cold", "again"):
        recording.add([ratio(name)])
        assert load(tmp_path)["local"][-1].ratios[-1].name == name
    Recording("local", tmp_path).add([ratio("other")])

    first, second = load(tmp_path)["local"]
    assert [each.name for each in first.ratios] == ["cold", "again"]
    assert [each.name for each in second.ratios] == ["other"]
    assert recording.kept


def test_a_section_that_fails_ends_red_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Recording("local", tmp_path)

    def fails(newer: Checkout, older: Checkout) -> object:
        yield [ratio("cold")]
        raise MeasurementError("again: no disk")

    def works(newer: Checkout, older: Checkout) -> object:
        yield [ratio("unit")]

    monkeypatch.setattr(bench, "_SECTIONS", {"lifecycle": fails, "unit": works})
    monkeypatch.setattr(bench, "Recording", lambda name: kept)
    monkeypatch.setattr(bench, "adopt_orphans", lambda: None)
    monkeypatch.setattr(bench, "clone", lambda commit, folder: None)

    assert bench.main([]) == 2
    assert "lifecycle: again: no disk" in capsys.readouterr().err
    (run,) = load(tmp_path)["local"]
    assert [each.name for each in run.ratios] == ["cold", "unit"]
