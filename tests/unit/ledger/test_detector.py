"""The detector: what it shows, what it does not, and that its sums never win too much."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest

from prompt_hub.ledger.detector import (
    BETS,
    FOLLOW_UPS,
    RUNS_A_COMPARISON,
    Detector,
    Evidence,
    error_of_a_run,
    error_of_contracts,
    has_fallen,
    is_better,
    keeps_contract_better,
    log_wins_against,
    log_wins_for_control,
    wants_comparison,
    wants_fresh_round,
)
from prompt_hub.ledger.items import ScoreSample

ERROR = error_of_a_run(0.01, 15)
THRESHOLD = 0.7


def run(right: float, asked: float = 48, rounds: int = 1, **changes: float) -> Evidence:
    return Evidence(rounds=rounds, asked=asked, earned=right, error=ERROR, **changes)


def test_a_month_of_runs_adds_up_to_the_stated_chance() -> None:
    for error, runs in ((ERROR, 30 * 96), (error_of_a_run(0.01, 1440), 30)):
        compared = runs / RUNS_A_COMPARISON
        assert (error + error_of_contracts(error)) * (runs + compared) == pytest.approx(0.01)


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("size", [1, 5, 48])
def test_no_bet_gains_on_average_at_the_threshold(threshold: float, size: int) -> None:
    for bet in range(len(BETS)):
        mean = math.fsum(
            math.comb(size, right)
            * threshold**right
            * (1 - threshold) ** (size - right)
            * math.exp(log_wins_against(run(right, size), threshold)[bet])
            for right in range(size + 1)
        )
        assert mean == pytest.approx(1)


def test_examples_that_differ_never_gain_more() -> None:
    chances = (1.0, 1.0, 0.5, 0.3)
    mean = math.fsum(chances) / len(chances)
    for bet in range(len(BETS)):
        expected = math.fsum(
            math.prod(p if right else 1 - p for p, right in zip(chances, answers, strict=True))
            * math.exp(log_wins_against(run(sum(answers), 4), mean)[bet])
            for answers in product((0, 1), repeat=4)
        )
        assert expected <= 1 + 1e-12


def test_sums_never_win_more_than_the_answers_themselves() -> None:
    random = Random(1)
    for _ in range(200):
        answers = [(random.random(), random.choice((1.0, 0.3, 0.01))) for _ in range(9)]
        differences = [(random.uniform(-1, 1), weight) for _, weight in answers]
        sums = run(
            math.fsum(score * weight for score, weight in answers),
            math.fsum(weight for _, weight in answers),
            won=math.fsum(weight * d for d, weight in differences if d > 0),
            lost=math.fsum(-weight * d for d, weight in differences if d < 0),
        )
        for bet, share in enumerate(BETS):
            stake = share / (1 - THRESHOLD)
            exact = math.fsum(math.log1p(stake * w * (THRESHOLD - s)) for s, w in answers)
            assert log_wins_against(sums, THRESHOLD)[bet] <= exact + 1e-9
            paired = math.fsum(math.log1p(share * w * d) for d, w in differences)
            assert log_wins_for_control(sums.won, sums.lost)[bet] <= paired + 1e-9


def test_a_total_failure_is_shown_by_one_run() -> None:
    rounds = 1 + FOLLOW_UPS
    assert has_fallen([(run(0), THRESHOLD)], ERROR)
    assert has_fallen([(run(0, 6 * rounds, rounds), THRESHOLD)], ERROR)
    assert is_better([run(37, won=37)], ERROR)
    # docs/watch.md: six examples are enough, five are not.
    assert is_better([run(6 * FOLLOW_UPS, won=6 * FOLLOW_UPS)], ERROR)
    assert not is_better([run(5 * FOLLOW_UPS, won=5 * FOLLOW_UPS)], ERROR)


def test_one_unlucky_round_shows_nothing() -> None:
    # 8, 10, 12 of 48 answers are coin flips; the threshold is three answers below the mean.
    for flips, right in ((8, 33), (10, 32), (12, 31)):
        threshold = 34 / 48
        assert right < 34, flips
        assert not has_fallen([(run(right), threshold)], ERROR)


def test_a_small_drop_is_shown_by_many_runs_and_good_ones_before_cost_nothing() -> None:
    fallen = [(run(0.6 * 48), THRESHOLD)]
    assert not has_fallen(fallen, ERROR)
    assert has_fallen(fallen * 20, ERROR)
    assert has_fallen([(run(48), THRESHOLD)] * 80 + fallen * 20, ERROR)


def test_a_way_back_that_wins_as_much_as_it_loses_is_not_better() -> None:
    assert not is_better([run(34, won=10, lost=10)] * 100, ERROR)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_thresholds_at_the_ends(threshold: float) -> None:
    assert not has_fallen([(run(48), threshold)] * 100, ERROR)
    assert has_fallen([(run(0), threshold)], ERROR) is (threshold == 1.0)


def test_capital_grows_by_one_a_run_where_nothing_is_won() -> None:
    detector = Detector()
    for _ in range(100):
        detector.add([0.0] * len(BETS))
    assert math.exp(detector.log_capital) == pytest.approx(100)


@pytest.mark.parametrize(
    ("active", "control", "wanted"),
    [
        (run(33), None, True),
        (run(34), None, False),
        (run(33 * 5, 48 * 5, 1 + FOLLOW_UPS), None, False),
        (run(0, 96, 2), run(40, won=40), False),
        (run(0, 96, 2), run(34, won=10, lost=10), True),
        (run(0, 96, 2), run(0), False),
        (run(0, 96, 2), None, True),
    ],
)
def test_a_run_goes_on_while_it_is_open(
    active: Evidence, control: Evidence | None, wanted: bool
) -> None:
    beside = None if control is None else (control, THRESHOLD)
    assert wants_fresh_round((active, THRESHOLD), beside) is wanted


def test_a_sample_keeps_its_evidence_and_older_ones_are_read() -> None:
    sample = ScoreSample(
        task="brand",
        version="1.0.0",
        score=0.5,
        threshold=0.7,
        n=48,
        interval=(0.4, 0.6),
        evaluation="round",
        at="2026-11-27T09:30:00.000000Z",
        evidence=run(24, won=3, lost=1),
    )
    stored = sample.to_attributes()
    assert ScoreSample.from_attributes("brand", stored) == sample
    older = {name: value for name, value in stored.items() if name != "evidence"}
    assert ScoreSample.from_attributes("brand", older).evidence is None


def test_no_bet_on_contracts_gains_where_both_versions_break_them_alike() -> None:
    broken = (0.02, 0.3, 0.0, 0.9)
    for bet in range(len(BETS)):
        expected = 0.0
        for ours in product((0, 1), repeat=4):
            for theirs in product((0, 1), repeat=4):
                chance = math.prod(
                    (p if a else 1 - p) * (p if b else 1 - p)
                    for p, a, b in zip(broken, ours, theirs, strict=True)
                )
                kept = sum(a and not b for a, b in zip(ours, theirs, strict=True))
                lapsed = sum(b and not a for a, b in zip(ours, theirs, strict=True))
                expected += chance * math.exp(log_wins_for_control(kept, lapsed)[bet])
        assert expected <= 1 + 1e-9


def test_a_comparison_of_contracts_decides_in_one_run_where_a_fifth_break_them() -> None:
    control = run(192, 192, rounds=4, answers=192, kept=38)
    assert keeps_contract_better([control], ERROR)
    assert not is_better([control], ERROR)


def test_a_few_broken_contracts_decide_nothing_until_runs_have_shown_them() -> None:
    control = run(192, 192, rounds=4, answers=192, broke=2, kept=9, lapsed=2)
    assert not keeps_contract_better([control], ERROR)
    assert keeps_contract_better([control] * 12, ERROR)


def test_a_comparison_ends_when_it_decides_or_after_its_fresh_rounds() -> None:
    assert wants_comparison(run(48), None)
    assert wants_comparison(run(96, 96, rounds=2), run(48, kept=9))
    assert not wants_comparison(run(48, 96, rounds=2), run(48, kept=48))
    last = FOLLOW_UPS + 1
    assert not wants_comparison(run(48 * last, 48 * last, rounds=last), run(192, 192, kept=1))
