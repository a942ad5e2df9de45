"""An example as a row: only what differs, whatever the model answered."""

from __future__ import annotations

import json

import pytest

from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.reporting.answers import Answers
from prompt_hub.reporting.rows import UNKNOWN, row_of
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring import ScorerResult

EXAMPLE = Example(
    id="a",
    input={"title": "Resistor 10 kΩ"},
    expected={"part_class": "resistor", "value": "10 kΩ", "tags": ["smd"]},
)
RIGHT: JsonObject = dict(EXAMPLE.expected)


def answers(*texts: str | JsonObject, score: float = 0.5, loss: str = "") -> Answers:
    parts = (ScorerResult("judge", score, 1.0, loss),)
    return Answers(
        tuple(
            ExampleResult(
                id="a",
                score=score - place / 10,
                repeat=place,
                answer=text if isinstance(text, str) else json.dumps(text),
                parts=parts,
            )
            for place, text in enumerate(texts)
        )
    )


def test_only_the_fields_that_differ_in_some_version_are_said() -> None:
    row = row_of(EXAMPLE, answers(RIGHT | {"part_class": "diode"}), answers(RIGHT))
    assert row.input == "Resistor 10 kΩ"
    assert row.expected == "part_class: resistor"
    assert row.answers == ("part_class: diode", "as expected")


def test_a_field_that_is_right_in_one_version_stands_beside_the_wrong_one() -> None:
    first, second = RIGHT | {"part_class": "diode"}, RIGHT | {"value": "1 kΩ"}
    row = row_of(EXAMPLE, answers(first), answers(second))
    assert row.expected == "part_class: resistor; value: 10 kΩ"
    assert row.answers == ("part_class: diode; value: 10 kΩ", "part_class: resistor; value: 1 kΩ")


def test_the_name_of_an_only_field_goes_without_saying() -> None:
    example = EXAMPLE.model_copy(update={"expected": {"brand": "Yageo"}})
    assert row_of(example, answers({"brand": "Murata"})).answers == ("Murata",)


def test_what_was_not_given_is_said() -> None:
    row = row_of(EXAMPLE, answers({"part_class": "resistor"}))
    assert row.expected == "value: 10 kΩ; tags[0]: smd"
    assert row.answers == ("value: not given; tags[0]: not given",)


@pytest.mark.parametrize(
    "text",
    [
        "a resistor",
        "{",
        "[1]",
        "",
        '{"part_class": "\\ud83d"}',
        pytest.param("[" * 5000, id="nested without end"),
    ],
)
def test_an_answer_that_is_no_object_is_shown_as_it_is(text: str) -> None:
    row = row_of(EXAMPLE, answers(text))
    assert row.answers == (text or "no answer",)
    assert row.expected == "part_class: resistor; value: 10 kΩ; tags[0]: smd"


def test_a_fence_is_no_difference_and_where_it_is_refused_the_loss_says_so() -> None:
    fenced = f"```json\n{json.dumps(RIGHT)}\n```"
    assert row_of(EXAMPLE, answers(fenced)).answers == ("as expected",)
    loss = "no usable output: it stands in a Markdown fence"
    assert row_of(EXAMPLE, answers(fenced, loss=loss)).answers == (loss,)


def counted(answer: JsonObject, *parts: ScorerResult) -> Answers:
    result = ExampleResult(id="a", score=0.5, answer=json.dumps(answer), parts=parts)
    return Answers((result,))


def test_what_scorers_count_as_the_same_is_no_difference() -> None:
    answer: JsonObject = {"part_class": "diode", "value": "10000 ohm", "tags": ["SMD"]}
    by_fields = ScorerResult(
        "json_fields", 0.5, 1.0, fields={"part_class": (0.0, 1, 1), "tags": (1.0, 1, 1)}
    )
    quantity = ScorerResult("quantity:value", 1.0, 1.0, fields={"value": (1.0, 1, 1)})
    row = row_of(EXAMPLE, counted(answer, by_fields, quantity))
    assert (row.expected, row.answers) == ("part_class: resistor", ("part_class: diode",))
    spelled = RIGHT | {"value": "10k"}
    assert row_of(EXAMPLE, counted(spelled, quantity)).answers == ("as expected",)
    assert row_of(None, counted({"value": "10k"}, quantity)).answers == ("10k",)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((), id="nobody looked"),
        pytest.param((ScorerResult("regex:value", 0.0, 1.0),), id="looked and lost"),
        pytest.param((ScorerResult("regex:value", 1.0, 1.0),), id="not held to what was expected"),
        pytest.param(
            (
                ScorerResult("quantity:value", 1.0, 1.0, fields={"value": (1.0, 1, 1)}),
                ScorerResult("exact:value", 0.0, 1.0, fields={"value": (0.0, 1, 1)}),
            ),
            id="one of two lost",
        ),
        pytest.param(
            (ScorerResult("json_fields", 1.0, 1.0, fields={"val": (1.0, 1, 1)}),),
            id="another field",
        ),
    ],
)
def test_what_not_every_scorer_found_right_stays_a_difference(
    parts: tuple[ScorerResult, ...],
) -> None:
    row = row_of(EXAMPLE, counted(RIGHT | {"value": "10k"}, *parts))
    assert row.answers == ("value: 10k",)


def test_an_object_that_is_right_is_right_in_all_that_it_holds() -> None:
    example = EXAMPLE.model_copy(
        update={"expected": {"size": {"unit": "mm", "all": [1, 2]}, "a": 1}}
    )
    part = ScorerResult("json_fields", 1.0, 1.0, fields={"size": (1.0, 1, 1)})
    answer: JsonObject = {"size": {"unit": "MM", "all": [2, 1]}, "a": 2}
    assert row_of(example, counted(answer, part)).answers == ("a: 2",)


def test_of_repeated_answers_the_worst_is_shown() -> None:
    row = row_of(EXAMPLE, answers(RIGHT, RIGHT | {"value": "1 kΩ"}))
    assert row.answers == ("value: 1 kΩ",)


def test_a_right_answer_that_a_judge_marked_down_says_why() -> None:
    row = row_of(EXAMPLE, answers(RIGHT, loss="judged 2 of 5: too curt"))
    assert row.answers == ("judged 2 of 5: too curt",)


def test_what_was_not_measured_or_asked_or_is_gone_is_said() -> None:
    failed = Answers((ExampleResult(id="a", score=None, error="503 after 5 attempts"),))
    assert row_of(EXAMPLE, failed, None).answers == ("503 after 5 attempts", "not asked")
    gone = row_of(None, answers({"part_class": "diode"}))
    assert (gone.input, gone.expected, gone.answers) == (UNKNOWN, UNKNOWN, ("diode",))
