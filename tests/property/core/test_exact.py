"""What people write in decimals is decided in decimals, whatever the floats in between."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.core.exact import careful, earned, reaches, stated, surplus, weighted_mean
from prompt_hub.gate.types import Status
from prompt_hub.repository.schema import Example, Gate, JsonObject, Limits
from prompt_hub.scoring.base import ScorerResult
from prompt_hub.scoring.base import weighted_mean as score_of
from prompt_hub.scoring.fields import FieldsScorer, unnamed
from tests.unit.evaluation.evidence import decide, evidence

WEIGHT = st.decimals("0.001", "999", places=3)
SHARE = st.decimals(0, 1, places=4)


def rational(parts: list[tuple[bool, Decimal]]) -> Fraction:
    total = sum(Fraction(weight) for _, weight in parts)
    return sum((Fraction(weight) for right, weight in parts if right), Fraction(0)) / total


@given(SHARE)
def test_a_stated_number_is_the_decimal_that_was_written(number: Decimal) -> None:
    assert stated(float(number)) == Fraction(number)


@given(st.integers(1, 10**7), st.data())
def test_a_score_is_the_fraction_that_it_is_the_float_of(bottom: int, data: st.DataObject) -> None:
    fraction = Fraction(data.draw(st.integers(0, bottom)), bottom)
    assert earned(float(fraction)) == fraction


@given(st.lists(st.tuples(st.booleans(), WEIGHT), min_size=1, max_size=8), SHARE)
def test_fields_reach_a_threshold_as_their_decimals_do(
    parts: list[tuple[bool, Decimal]], threshold: Decimal
) -> None:
    weights = {unnamed(f"f{number}"): float(weight) for number, (_, weight) in enumerate(parts)}
    output: JsonObject = {f"f{number}": right for number, (right, _) in enumerate(parts)}
    expected: JsonObject = dict.fromkeys(output, True)
    example = Example(id="e", input={}, expected=expected)
    part = FieldsScorer("json_fields", 1.0, weights).part(output, example)
    exact = rational(parts)
    assert reaches(part.score, float(threshold)) == (exact >= Fraction(threshold))
    as_threshold = float(exact)
    assert reaches(part.score, as_threshold)
    assert surplus(part.score, as_threshold) == 0


@given(st.lists(st.tuples(SHARE, WEIGHT), min_size=1, max_size=6))
def test_scorers_add_up_as_their_decimals_do(parts: list[tuple[Decimal, Decimal]]) -> None:
    results = [ScorerResult("s", float(score), float(weight)) for score, weight in parts]
    total = sum(Fraction(weight) for _, weight in parts)
    exact = sum(Fraction(score) * Fraction(weight) for score, weight in parts) / total
    assert score_of(results) == float(exact)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60), WEIGHT), min_size=1, max_size=30))
def test_the_gate_decides_on_the_exact_mean(rows: list[tuple[int, int, Decimal]]) -> None:
    scores = [Fraction(min(top, bottom), bottom) for top, bottom, _ in rows]
    weights = [Fraction(weight) for _, _, weight in rows]
    exact = sum(s * w for s, w in zip(scores, weights, strict=True)) / sum(weights)
    of = [
        Example(id=f"e{number}", input={}, expected={}, weight=float(weight))
        for number, weight in enumerate(weights)
    ]
    given_ = evidence([float(score) for score in scores], of=of)
    for places in (1, 2, 3):
        threshold = round(exact, places)
        found = decide(given_, threshold=float(threshold), gate=Gate(), limits=Limits())
        assert (found.status is Status.PASS) == (exact >= threshold)


@given(st.lists(SHARE, min_size=1, max_size=50))
def test_the_order_of_scores_is_nothing_to_their_mean(scores: list[Decimal]) -> None:
    floats = [(float(score), 1.0) for score in scores]
    exact = sum(map(Fraction, scores)) / len(scores)
    assert weighted_mean(floats) == weighted_mean(reversed(floats)) == exact


@given(st.integers(1, 200), st.data())
def test_a_sum_of_floats_is_the_number_that_was_meant(parts: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, parts))
    assert careful(sum([1 / parts] * kept)) == kept / parts
