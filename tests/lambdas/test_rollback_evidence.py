"""Decisions on samples that carry evidence: chance decides nothing, and a fall is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from decision import Action, AlarmContext, Decision, Window, decide, samples_wanted
from prompt_hub.ledger.detector import RUNS_READ, Evidence, error_of_a_run
from prompt_hub.ledger.items import Pointer, ReleaseRef, ScoreSample, VersionRef, timestamp

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
ERROR = error_of_a_run(0.01, 15)
SIZE = 48
WINDOW = Window(to_alarm=1, of_last=1)
POINTER = Pointer(
    task="brand",
    active=VersionRef(version="1.0.0", sha256="new"),
    previous=VersionRef(version="0.9.0", sha256="old"),
    frozen=False,
    revision=7,
    changed_by="pipeline",
    reason="release",
    at="2026-11-01T00:00:00.000000Z",
    release=ReleaseRef(release="r", made_at="2026-11-01T00:00:00.000000Z"),
)


def sample(
    version: str,
    evidence: Evidence,
    *,
    ago: int = 0,
    threshold: float = 34 / SIZE,
) -> ScoreSample:
    return ScoreSample(
        task="brand",
        version=version,
        score=evidence.earned / evidence.asked,
        threshold=threshold,
        n=SIZE,
        interval=(0.0, 1.0),
        evaluation=f"round-{ago}",
        at=timestamp(NOW - timedelta(minutes=15 * ago)),
        evidence=evidence,
    )


def evidence(right: float, rounds: int = 1, **paired: float) -> Evidence:
    return Evidence(rounds=rounds, asked=SIZE * rounds, earned=right, error=ERROR, **paired)


def run(
    active: Evidence, control: Evidence | None = None, ago: int = 0, threshold: float = 34 / SIZE
) -> list[ScoreSample]:
    samples = [sample("1.0.0", active, ago=ago)]
    if control is not None:
        samples.append(sample("0.9.0", control, ago=ago, threshold=threshold))
    return samples


def decision_on(*runs: list[ScoreSample]) -> Decision:
    return decide(
        AlarmContext(
            task="brand",
            window=WINDOW,
            pointer=POINTER,
            states={},
            samples=[sample for samples in runs for sample in samples],
            events=(),
            deployed=None,
        )
    )


@pytest.mark.parametrize("flips", [8, 10, 12])
def test_answers_that_flip_roll_nothing_back_in_a_day_of_rounds(flips: int) -> None:
    random = Random(flips)
    runs: list[list[ScoreSample]] = []
    suspicious = 0
    for ago in range(95, -1, -1):
        right = 37 - flips // 2 + random.getrandbits(flips).bit_count()
        if right < 34 or ago == 0:
            # The last round is as bad as chance can make it, with a way back that is better.
            right = min(right, 37 - flips // 2)
            suspicious += 1
            runs.insert(0, run(evidence(right), evidence(41, won=10, lost=2), ago))
            assert decision_on(*runs).action is Action.NOTHING
        else:
            runs.insert(0, run(evidence(right), ago=ago))
    assert suspicious


def test_a_total_failure_is_rolled_back_after_one_run() -> None:
    decision = decision_on(run(evidence(0, 2), evidence(41, won=41)))
    assert (decision.action, decision.code) == (Action.ROLL_BACK, "below-threshold")
    assert "0.9.0 is better on the same examples" in decision.reason


def test_a_total_failure_is_rolled_back_though_one_round_of_the_way_back_is_unlucky() -> None:
    decision = decision_on(run(evidence(0, 2), evidence(33, won=33)))
    assert decision.action is Action.ROLL_BACK


def test_a_small_fall_is_rolled_back_when_runs_have_shown_it() -> None:
    def fallen(ago: int) -> list[ScoreSample]:
        return run(evidence(5 * 30, 5), evidence(4 * 40, 4, won=60, lost=20), ago)

    first = decision_on(fallen(0))
    assert (first.action, first.code) == (Action.NOTHING, "not-shown")
    assert decision_on(*(fallen(ago) for ago in range(12))).action is Action.ROLL_BACK


def test_a_way_back_that_is_ahead_by_chance_waits_for_evidence() -> None:
    decision = decision_on(run(evidence(0, 2), evidence(41, won=5, lost=4)))
    assert (decision.action, decision.code) == (Action.NOTHING, "not-better-yet")


def test_a_way_back_that_wins_nothing_calls_people() -> None:
    control = evidence(20, won=6, lost=8)
    decision = decision_on(run(evidence(5, 2), control, threshold=0.4))
    assert (decision.action, decision.code) == (Action.PAGE, "way-back-not-better")


def test_both_fall_alike_and_nobody_is_called_before_that_is_shown() -> None:
    def both(ago: int) -> list[ScoreSample]:
        return run(evidence(5 * 28, 5), evidence(4 * 28, 4, won=20, lost=20), ago)

    first, second, third = (decision_on(*map(both, range(runs))) for runs in (1, 2, 3))
    assert first.code == "not-shown"
    # The active version has a round more a run: its fall is shown first.
    assert (second.action, second.code) == (Action.NOTHING, "way-back-not-shown")
    assert "0.9.0, the version to go back to, is below its threshold, too" in second.reason
    assert (third.action, third.code) == (Action.FREEZE, "provider-or-data")


def test_a_round_that_the_way_back_passes_ends_the_wait_for_its_fall() -> None:
    both_fell = [run(evidence(0, 2), evidence(18, lost=3), ago, 0.4) for ago in (1, 2)]
    passed = run(evidence(5, 2), evidence(20, won=6, lost=8), threshold=0.4)
    assert decision_on(*both_fell).code == "way-back-not-shown"
    assert decision_on(passed, *both_fell).code == "way-back-not-better"


def test_both_fell_is_frozen() -> None:
    decision = decision_on(run(evidence(0, 4), evidence(0, 3)))
    assert (decision.action, decision.code) == (Action.FREEZE, "provider-or-data")


def test_evidence_from_before_the_last_move_counts_for_nothing() -> None:
    before = [run(evidence(0, 2), evidence(41, won=41), ago) for ago in range(3000, 3010)]
    decision = decision_on(run(evidence(33), evidence(41, won=9, lost=1)), *before)
    assert decision.code == "not-shown"


def test_a_run_is_small_whatever_the_examples_are() -> None:
    sums = Evidence(rounds=5, asked=1e6 / 3, earned=1e6 / 7, error=ERROR, won=1e5 / 3, lost=1 / 3)
    assert len(json.dumps(sample("1.0.0", sums).to_attributes())) < 500
    assert samples_wanted(WINDOW) == 2 * RUNS_READ


def answered_by(*names: str, at_the_gate: tuple[str, ...] = ("good",)) -> Decision:
    (bad, control) = run(evidence(0, 2), evidence(41, won=41))
    return decision_on([replace(bad, answered_by=names, judged_on=at_the_gate), control])


def test_a_reason_names_some_models_each_in_one_line() -> None:
    many = answered_by("weak\nall is well", "w" * 1000, *map(str, range(40)))
    named = f", answered by weak all is well, {'w' * 99}…, 0, 39 more; at the gate it was good. "
    assert named in many.reason


def test_a_rollback_names_the_model_that_answered_where_the_gate_saw_another() -> None:
    other = answered_by("weak")
    assert other.action is Action.ROLL_BACK
    assert ", answered by weak; at the gate it was good. 0.9.0 is better" in other.reason
    assert other.evidence["active"]["answered_by"] == ["weak"]  # type: ignore[index]
    for same in (answered_by("good"), answered_by(), answered_by("weak", at_the_gate=())):
        assert same.action is Action.ROLL_BACK
        assert "answered by" not in same.reason
