"""What each scorer calls right, what it calls wrong, and in which words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring import (
    ScorerResult,
    build_scorers,
    majority_baseline,
    normalise,
    score_answer,
    weighted_mean,
)
from prompt_hub.scoring.comparison import identity
from prompt_hub.scoring.registry import Scorer
from tests.unit.evaluation.scored import EACH, SCHEMA, example, part, scorer

words = st.sampled_from(["a", "A", "b", "cc", "ccd"])

values = st.fixed_dictionaries(
    {},
    optional={
        "kind": words,
        "ohms": st.integers(0, 3) | st.none(),
        "tags": st.lists(words, max_size=3),
        "deep": st.fixed_dictionaries({}, optional={"x": words}),
    },
)


@given(st.lists(values, min_size=1, max_size=8), st.lists(st.sampled_from(EACH), min_size=1))
def test_the_quick_baseline_is_the_slow_one(
    expected: list[JsonObject], scorers: list[Scorer]
) -> None:
    examples = [example(weight=1 + i % 2, **fields) for i, fields in enumerate(expected)]
    quick = majority_baseline(scorers, examples, SCHEMA)
    assert quick == pytest.approx(_slow_baseline(scorers, examples))


def _slow_baseline(scorers: Sequence[Scorer], examples: Sequence[Example]) -> float:
    total = sum(entry.weight for entry in examples)
    return max(
        sum(
            item.weight
            * weighted_mean(score_answer(build_scorers(scorers, SCHEMA), guess.expected, item))
            for item in examples
        )
        / total
        for guess in examples
    )


@given(st.sampled_from(EACH), values, values)
def test_a_score_is_a_share_and_its_loss_is_in_words(
    how: Scorer, output: JsonObject, expected: JsonObject
) -> None:
    result = part(how, output, expected)
    assert 0.0 <= result.score <= 1.0
    assert bool(result.loss) == (result.score < 1.0)
    for matched, given_, wanted in result.fields.values():
        assert 0 <= matched <= min(given_, wanted)


@given(st.sampled_from(EACH[:4] + EACH[6:]), values)
def test_the_expected_answer_is_right(how: Scorer, expected: JsonObject) -> None:
    assert part(how, expected, expected).score == 1.0


@given(values, values)
def test_all_of_it_is_right_only_if_it_is_the_same(
    output: JsonObject, expected: JsonObject
) -> None:
    same = identity(output) == identity(expected)
    assert (part(scorer("exact"), output, expected).score == 1.0) == same


@given(st.lists(words), st.lists(words))
def test_the_f1_of_sets_is_symmetric_and_one_only_for_equal_sets(
    one: list[str], other: list[str]
) -> None:
    how = scorer("set_f1", field="tags")
    there = part(how, {"tags": list(one)}, {"tags": list(other)})
    back = part(how, {"tags": list(other)}, {"tags": list(one)})
    assert there.score == back.score
    assert (there.score == 1.0) == ({*map(normalise, one)} == {*map(normalise, other)})


@given(st.lists(st.integers(0, 6), max_size=6), st.lists(st.integers(0, 6), max_size=6))
def test_as_many_elements_as_possible_find_their_like(one: list[int], other: list[int]) -> None:
    how = scorer("set_f1", field="n", compare="number", tolerance=1)
    result = part(how, {"n": list(one)}, {"n": list(other)})
    assert result.fields["n"][0] == _most_pairs(sorted({*one}), sorted({*other}))


def _most_pairs(item: list[int], other: list[int]) -> int:
    if not item:
        return 0
    first, rest = item[0], item[1:]
    best = _most_pairs(rest, other)
    for like in other:
        if abs(first - like) <= 1:
            best = max(best, 1 + _most_pairs(rest, [o for o in other if o != like]))
    return best


@given(values, values, st.floats(0.01, 100), st.lists(st.floats(0.1, 9), min_size=3, max_size=3))
def test_only_the_ratio_of_weights_counts(
    output: JsonObject, expected: JsonObject, factor: float, weights: list[float]
) -> None:
    def scored(by: float) -> float:
        fields = dict(zip(("kind", "ohms", "tags"), (w * by for w in weights), strict=True))
        return part(scorer("json_fields", fields=fields), output, expected).score

    assert scored(1) == pytest.approx(scored(factor))
    once = score_answer(
        build_scorers([scorer("exact", weight=2), scorer("json_fields")], SCHEMA),
        output,
        example(**expected),
    )
    scaled = [ScorerResult(p.scorer, p.score, p.weight * factor) for p in once]
    assert weighted_mean(once) == pytest.approx(weighted_mean(scaled))
