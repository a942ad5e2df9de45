"""What the gate decides, and that it never decides for a candidate it could not measure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.evaluate.gate import Status, compare, decide, wilson

scores = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=60)


def by_id(values: list[float]) -> dict[str, float]:
    return {f"e{number:03}": value for number, value in enumerate(values)}


def verdict(
    candidate: list[float],
    champion: list[float] | None = None,
    *,
    threshold: float = 0.5,
    margin: float = 0.05,
    missing: tuple[str, ...] = (),
) -> Status:
    return decide(
        score=sum(candidate) / len(candidate) if candidate else None,
        threshold=threshold,
        candidate=by_id(candidate),
        champion=None if champion is None else by_id(champion),
        margin=margin,
        confidence=0.9,
        missing=missing,
    ).status


def test_first_release_needs_only_the_threshold() -> None:
    assert verdict([1.0, 0.0]) is Status.PASS
    assert verdict([1.0, 0.0], threshold=0.51) is Status.BLOCK


def test_a_clear_loss_against_the_champion_blocks() -> None:
    assert verdict([1.0] * 30 + [0.0] * 30, [1.0] * 60) is Status.BLOCK


def test_a_possible_loss_is_inconclusive() -> None:
    assert verdict([1.0] * 18 + [0.0] * 2, [1.0] * 19 + [0.0]) is Status.INCONCLUSIVE


def test_the_champion_passes_against_itself() -> None:
    same = [1.0] * 50 + [0.0] * 10
    assert verdict(same, same) is Status.PASS


def test_nothing_to_score_is_not_measured() -> None:
    assert verdict([]) is Status.NOT_MEASURED


@given(scores, scores)
def test_an_outage_is_never_a_verdict(candidate: list[float], champion: list[float]) -> None:
    assert verdict(candidate, champion, missing=("no connection",)) is Status.NOT_MEASURED


@given(scores, st.floats(0, 1))
def test_below_the_threshold_never_passes(candidate: list[float], threshold: float) -> None:
    mean = sum(candidate) / len(candidate)
    status = verdict(candidate, threshold=threshold)
    assert status is (Status.PASS if mean >= threshold else Status.BLOCK)


@given(scores)
def test_comparison_is_antisymmetric(values: list[float]) -> None:
    there, back = by_id(values), by_id(values[::-1])
    one, other = compare(there, back, 0.9), compare(back, there, 0.9)
    assert one.difference == pytest.approx(-other.difference)
    assert one.low == pytest.approx(-other.high)


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_holds_the_score_and_stays_in_bounds(n: int, score: float) -> None:
    low, high = wilson(score, n, 0.9)
    assert 0 <= low <= score + 1e-9
    assert score - 1e-9 <= high <= 1


def test_wilson_against_a_published_value() -> None:
    # 15 of 20 at 95 %: 0.531 to 0.888 (Newcombe, Statistics in Medicine 1998, method 3).
    low, high = wilson(0.75, 20, 0.95)
    assert (round(low, 3), round(high, 3)) == (0.531, 0.888)
