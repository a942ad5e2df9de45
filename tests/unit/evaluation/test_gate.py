"""What the gate decides, and that it never decides for a candidate it could not measure."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from prompt_hub.gate.power import with_power
from prompt_hub.gate.types import Evidence, GateSet, Status
from prompt_hub.repository.schema import Gate, Limits
from tests.unit.evaluation.evidence import decided, evidence, examples, scores_at

# --- the score --------------------------------------------------------------------------------


def test_first_release_needs_only_the_threshold() -> None:
    assert decided(evidence([1.0, 0.0]), threshold=0.5).status is Status.PASS
    assert decided(evidence([1.0, 0.0]), threshold=0.51).status is Status.BLOCK


def test_heavy_examples_count_for_more() -> None:
    heavy = examples(2, weights=[3.0, 1.0])
    conclusion = decided(evidence([1.0, 0.0], of=heavy), threshold=0.75)
    assert conclusion.status is Status.PASS
    assert "score 0.750 reaches the threshold 0.750" in conclusion.reasons


def test_a_score_that_equals_its_threshold_reaches_it() -> None:
    assert sum([0.7] * 3) / 3 < 0.7
    assert decided(evidence([0.7] * 3), threshold=0.7).status is Status.PASS
    weights = examples(3, weights=[0.7, 0.1, 0.2])
    conclusion = decided(evidence([1.0, 1.0, 0.0], of=weights), threshold=0.8)
    assert conclusion.status is Status.PASS
    thirds = decided(evidence([1 / 3, 2 / 3, 0.5]), threshold=0.5)
    assert thirds.status is Status.PASS


def test_a_tags_score_that_equals_its_least_reaches_it() -> None:
    tagged = examples(3, tags=[["a"]] * 3)
    assert decided(evidence([0.7] * 3, of=tagged), tags={"a": 0.7}).status is Status.PASS
    assert decided(evidence([0.7] * 3, of=tagged), tags={"a": 0.701}).status is Status.BLOCK


def test_a_score_a_little_below_is_told_in_enough_digits() -> None:
    conclusion = decided(evidence([0.69996] * 3), threshold=0.7)
    assert conclusion.reasons[0] == "score 0.69996 is below the threshold 0.700"
    conclusion = decided(evidence([0.9] * 3), threshold=0.90001)
    assert conclusion.reasons[0] == "score 0.90000 is below the threshold 0.90001"


def test_nothing_lost_is_no_loss_before_all_is_seen() -> None:
    whole = examples(100)
    waiting = decided(evidence([1.0] * 64, of=whole), threshold=1.0)
    assert (waiting.status, waiting.more) == (Status.INCONCLUSIVE, "examples")
    lost = decided(evidence([1.0] * 63 + [0.99], of=whole), threshold=1.0)
    assert lost.status is Status.BLOCK


def test_a_price_that_equals_its_limit_keeps_it() -> None:
    limits = Limits(usd_per_call=0.3)
    assert 0.1 + 0.2 > 0.3
    found = decided(evidence([1.0], usd_per_call=0.1 + 0.2), limits=limits)
    assert found.status is Status.PASS
    dear = decided(evidence([1.0], usd_per_call=0.3000001), limits=limits)
    assert dear.status is Status.BLOCK


# --- the comparison ---------------------------------------------------------------------------


def test_a_clear_loss_against_the_champion_blocks() -> None:
    conclusion = decided(evidence([1.0] * 30 + [0.0] * 30, [1.0] * 60))
    assert conclusion.status is Status.BLOCK
    assert "worse by more than 0.100" in conclusion.reasons[0]


def test_a_possible_loss_is_inconclusive() -> None:
    conclusion = decided(evidence([1.0] * 18 + [0.0] * 2, [1.0] * 19 + [0.0]))
    assert conclusion.status is Status.INCONCLUSIVE
    assert "cannot be excluded" in conclusion.reasons[0]


def test_the_champion_against_itself_passes_only_with_enough_examples() -> None:
    # Losses of 1 in 20 hide from 44 examples more often than one time in ten: 0.95^44 > 0.1.
    few, many = [1.0] * 44, [1.0] * 45
    assert decided(evidence(few, few), margin=0.05).status is Status.INCONCLUSIVE
    assert decided(evidence(many, many), margin=0.05).status is Status.PASS


def test_a_margin_of_1_accepts_every_loss_and_still_compares() -> None:
    of = examples(40, tags=[["rare"]] * 10 + [[]] * 30)
    given_ = evidence([0.0] * 10 + [1.0] * 30, [1.0] * 40, of=of)
    conclusion = decided(given_, margin=1.0, tag_margin=1.0)
    assert conclusion.status is Status.PASS
    assert conclusion.comparison is not None
    assert conclusion.comparison.difference == -0.25
    assert -1 <= conclusion.comparison.low < -0.25 < conclusion.comparison.high
    assert conclusion.tags["rare"].low == -1
    power = with_power(conclusion, given_, 0.0, Gate(margin=1.0, tag_margin=1.0)).power
    assert power is not None
    assert power.detectable is None


def test_no_confidence_is_told_as_certainty() -> None:
    conclusion = decided(evidence([1.0] * 100, [1.0] * 100), confidence=0.999)
    assert any(", 99.9% sure: " in reason for reason in conclusion.reasons)


def test_no_rare_loss_passes_that_the_examples_cannot_show() -> None:
    # An interval of the normal approximation would have no width here.
    assert decided(evidence([1.0] * 20, [1.0] * 20)).status is Status.INCONCLUSIVE


def test_a_loss_on_the_heaviest_examples_weighs_what_they_weigh() -> None:
    weights = [9.0] * 20 + [1.0] * 180
    given_ = evidence([0.0] * 20 + [1.0] * 180, [1.0] * 200, of=examples(200, weights=weights))
    found = decided(given_)
    assert found.comparison is not None
    assert found.comparison.difference == pytest.approx(-0.5)
    assert found.status is Status.BLOCK


# --- looks and repeats ------------------------------------------------------------------------


def test_an_open_question_asks_for_unseen_examples_first() -> None:
    some = evidence([1.0] * 20, [1.0] * 20, of=examples(100), sampled=True)
    assert decided(some, repeats=3).more == "examples"
    assert decided(some).more == "examples"


def test_repeats_come_only_where_the_model_is_sampled_and_only_so_often() -> None:
    flat = evidence([1.0] * 12, [1.0] * 12)
    assert decided(flat, repeats=3).more is None
    assert decided(replace(flat, sampled=True), repeats=3).more == "repeats"
    assert decided(replace(flat, sampled=True), repeats=1).more is None
    thrice = evidence([[1.0] * 3] * 12, [[1.0] * 3] * 12, sampled=True)
    assert decided(thrice, repeats=3).more is None
    assert decided(thrice, repeats=4).more == "repeats"


def test_the_first_round_of_several_needs_stronger_evidence() -> None:
    same = [1.0] * 25  # 0.9^25 is below 0.1, and not below half of it
    assert decided(evidence(same, same), repeats=4).status is Status.PASS
    assert decided(evidence(same, same, sampled=True), repeats=4).status is Status.INCONCLUSIVE


def test_repeats_take_the_noise_out_of_examples() -> None:
    random = Random(5)
    noisy = [[float(random.random() < 0.5) for _ in range(6)] for _ in range(120)]
    other = [[float(random.random() < 0.5) for _ in range(6)] for _ in range(120)]
    first = decided(evidence([r[:1] for r in noisy], [r[:1] for r in other]), margin=0.2)
    last = decided(evidence(noisy, other, sampled=True), margin=0.2, repeats=6)
    assert first.comparison is not None
    assert last.comparison is not None
    assert last.comparison.high - last.comparison.low < first.comparison.high - first.comparison.low


def test_a_look_at_a_part_decides_only_what_is_certain() -> None:
    whole = examples(400)
    good = evidence([1.0] * 64, [1.0] * 64, of=whole)
    assert decided(good, threshold=0.8).status is Status.PASS
    assert decided(good, threshold=0.98).more == "examples"
    bad = evidence([0.0] * 64, of=whole)
    blocked = decided(bad, threshold=0.5)
    assert (blocked.status, blocked.more) == (Status.BLOCK, None)
    assert "on 64 of 400" in blocked.reasons[0]


# --- slices, cost and latency -----------------------------------------------------------------


def test_a_slice_may_not_collapse_while_the_mean_rises() -> None:
    tags = [["connector"]] * 20 + [["resistor"]] * 60
    of = examples(80, tags=tags)
    conclusion = decided(evidence([0.0] * 20 + [1.0] * 60, [1.0] * 20 + [0.5] * 60, of=of))
    assert conclusion.comparison is not None
    assert conclusion.comparison.difference > 0
    assert conclusion.status is Status.BLOCK
    assert conclusion.reasons[0].startswith("tag 'connector' -1.000 on 20 shared examples")
    assert conclusion.tags["connector"].high < -0.2 < conclusion.tags["resistor"].low


def test_an_undecided_slice_is_reported_and_stops_nobody() -> None:
    of = examples(80, tags=[["rare"]] * 8 + [[]] * 72)
    conclusion = decided(evidence([0.0] + [1.0] * 79, [1.0] * 80, of=of), margin=0.2)
    assert conclusion.status is Status.PASS
    assert any("tag 'rare' -0.125 on 8" in reason for reason in conclusion.reasons)


def test_an_open_slice_keeps_looks_going_until_all_is_seen() -> None:
    whole = examples(400, tags=[["rare"] if n % 20 == 0 else [] for n in range(400)])
    assert decided(evidence([1.0] * 100, [1.0] * 100, of=whole)).more == "examples"
    assert decided(evidence([1.0] * 400, [1.0] * 400, of=whole)).status is Status.PASS


def test_a_tag_with_a_least_score_is_held_to_it() -> None:
    of = examples(40, tags=[["connector"]] * 4 + [[]] * 36)
    given_ = evidence([1.0, 1.0, 0.0, 0.0] + [1.0] * 36, of=of)
    assert decided(given_, tags={"connector": 0.5}).status is Status.PASS
    conclusion = decided(given_, tags={"connector": 0.6})
    assert conclusion.status is Status.BLOCK
    assert (
        conclusion.reasons[0] == "score of the tag 'connector' 0.500 is below the threshold 0.600"
    )


def test_a_tag_that_no_example_carries_cannot_be_measured() -> None:
    conclusion = decided(evidence([1.0]), tags={"connector": 0.5})
    assert conclusion.status is Status.NOT_MEASURED
    assert "'connector'" in conclusion.reasons[0]


def test_cost_and_latency_are_limited() -> None:
    limits = Limits(usd_per_call=0.01, seconds_p95=2.0)
    fine = evidence([1.0], usd_per_call=0.01, seconds_p95=2.0)
    assert decided(fine, limits=limits).status is Status.PASS
    dear = decided(replace(fine, usd_per_call=0.0125), limits=limits)
    assert dear.status is Status.BLOCK
    assert "costs 0.0125 US dollars on average" in dear.reasons[0]
    barely = decided(replace(fine, usd_per_call=0.010000004), limits=limits)
    assert barely.reasons[0].endswith("0.010000004 US dollars on average, more than 0.01")
    slow = decided(replace(fine, seconds_p95=2.5), limits=limits)
    assert slow.status is Status.BLOCK
    assert "2.5 s" in slow.reasons[0]
    unknown = evidence([1.0])
    assert decided(unknown, limits=limits).status is Status.PASS


# --- what is not measured ---------------------------------------------------------------------


# --- power ------------------------------------------------------------------------------------


def verdict_text(given_: Evidence, **gate: object) -> str:
    settings = Gate.model_validate({"margin": 0.1, **gate})
    return " / ".join(with_power(decided(given_, **gate), given_, 0.5, settings).reasons)


def test_every_verdict_says_what_its_examples_could_show() -> None:
    spread = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    words = verdict_text(evidence(spread * 6, [1.0, *spread[:0:-1]] * 6), margin=0.05)
    assert "with these 48 examples a drop of 0.22 would be seen (probability 0.8)" in words
    assert "to rule out a drop of 0.05 where there is none takes" in words
    assert "label about" in words
    first = verdict_text(evidence([1.0] * 40 + [0.0] * 8))
    assert "a true score of 0.43 would miss the threshold (probability 0.8)" in first


def test_a_score_that_would_miss_the_threshold_does_not_look_like_it() -> None:
    count = 20_000
    many = GateSet([1.0] * count, {})
    given_ = Evidence(examples=many, candidate=scores_at([1.0] * count, count))
    found = with_power(decided(given_, threshold=0.85), given_, 0.85, Gate())
    assert "a true score of 0.847 would miss the threshold" in found.reasons[-1]


def test_more_examples_can_show_less() -> None:
    def power(count: int) -> tuple[float, int]:
        given_ = evidence([1.0] * count, [0.0] * (count // 10) + [1.0] * (count - count // 10))
        found = with_power(decided(given_), given_, 0.5, Gate(margin=0.1)).power
        assert found is not None
        assert found.detectable is not None
        assert found.needed is not None
        return found.detectable, found.needed

    few, many = power(50), power(400)
    assert many[0] < few[0]
    assert many[1] == pytest.approx(few[1], rel=0.25)


def test_repeats_take_more_examples_to_rule_the_same_out() -> None:
    given_ = evidence([1.0] * 30, [1.0] * 30, sampled=True)
    once, several = (
        with_power(decided(given_, repeats=r), given_, 0.5, Gate(margin=0.1, repeats=r)).power
        for r in (1, 5)
    )
    assert once is not None
    assert several is not None
    assert (once.needed or 0) < (several.needed or 0)


def test_uneven_weights_are_worth_fewer_examples() -> None:
    scores = [1.0] * 60
    even = with_power(
        decided(evidence(scores, scores)), evidence(scores, scores), 0.5, Gate(margin=0.1)
    )
    uneven_set = examples(60, weights=[10.0] * 6 + [1.0] * 54)
    given_ = evidence(scores, scores, of=uneven_set)
    uneven = with_power(decided(given_), given_, 0.5, Gate(margin=0.1))
    assert even.power is not None
    assert uneven.power is not None
    assert (even.power.needed or 0) < (uneven.power.needed or 0)


def test_what_was_not_measured_promises_nothing() -> None:
    given_ = evidence([])
    assert with_power(decided(given_), given_, 0.5, Gate()).power is None
