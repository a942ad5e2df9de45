"""What each scorer calls right, what it calls wrong, and in which words."""

from __future__ import annotations

import pytest

from prompt_hub.evaluate.scorers import combine, majority_baseline, normalise, score_parts
from prompt_hub.prompts.models import Example, JsonObject, Scorer

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"kind": {"type": "string"}, "ohms": {"type": "number"}},
    "required": ["kind"],
}


def example(**expected: object) -> Example:
    return Example.model_validate({"id": "e", "input": {}, "expected": expected})


def scored(scorer: Scorer, output: JsonObject | None, **expected: object) -> tuple[float, str]:
    (part,) = score_parts([scorer], output, example(**expected), SCHEMA)
    return part.score, part.loss


@pytest.mark.parametrize(
    ("scorer", "output", "expected", "score"),
    [
        (Scorer(type="exact"), {"kind": "resistor"}, {"kind": "resistor"}, 1.0),
        (Scorer(type="exact"), {"kind": "Resistor"}, {"kind": "resistor"}, 0.0),
        (Scorer(type="text", field="kind"), {"kind": " RESISTOR "}, {"kind": "resistor"}, 1.0),
        (Scorer(type="text", field="kind"), {"kind": 3}, {"kind": "3"}, 0.0),
        (Scorer(type="number", field="ohms", tolerance=0.5), {"ohms": 9.5}, {"ohms": 10}, 1.0),
        (Scorer(type="number", field="ohms", tolerance=0.4), {"ohms": 9.5}, {"ohms": 10}, 0.0),
        (Scorer(type="number", field="ohms"), {"ohms": True}, {"ohms": 1}, 0.0),
        (Scorer(type="number", field="ohms"), {}, {"ohms": 1}, 0.0),
        (Scorer(type="json_schema"), {"kind": "x"}, {}, 1.0),
        (Scorer(type="json_schema"), {"kind": 1}, {}, 0.0),
    ],
)
def test_scorer(scorer: Scorer, output: JsonObject, expected: JsonObject, score: float) -> None:
    assert scored(scorer, output, **expected)[0] == score


def test_fields_are_weighted_and_the_loss_names_the_field() -> None:
    scorer = Scorer(type="json_fields", fields={"kind": 3.0, "ohms": 1.0})
    score, loss = scored(scorer, {"kind": "resistor", "ohms": 5}, kind="resistor", ohms=10)
    assert score == 0.75
    assert loss == "ohms: expected 10, got 5"


def test_no_usable_output_is_worth_nothing() -> None:
    for kind in ("exact", "text", "number", "json_fields", "json_schema"):
        assert scored(Scorer.model_validate({"type": kind}), None) == (0.0, "no usable output")


def test_weights_combine() -> None:
    scorers = [Scorer(type="json_schema", weight=1), Scorer(type="exact", weight=3)]
    parts = score_parts(scorers, {"kind": "a"}, example(kind="b"), SCHEMA)
    assert combine(parts) == 0.25


def test_majority_guess() -> None:
    examples = [example(kind=kind) for kind in ("a", "a", "b")]
    assert majority_baseline([Scorer(type="exact")], examples, SCHEMA) == pytest.approx(2 / 3)
    assert majority_baseline([Scorer(type="judge")], examples, SCHEMA) is None
    assert majority_baseline([Scorer(type="exact")], [], SCHEMA) is None


def test_normalise_folds_case_width_and_space() -> None:
    assert normalise("  Ｔexas\u00a0  Instruments ") == "texas instruments"
