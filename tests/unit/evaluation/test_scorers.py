"""What each scorer calls right, what it calls wrong, and in which words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from pydantic import JsonValue

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring import (
    build_scorers,
    majority_baseline,
    normalise,
    score_answer,
    weighted_mean,
)
from prompt_hub.scoring.base import RuleContext
from prompt_hub.scoring.metadata import read_metadata
from prompt_hub.scoring.registry import Scorer
from prompt_hub.scoring.scorers.injection import CanaryPrompt, InjectionSettings, attack_on
from tests.unit.evaluation.scored import _SCORERS, EACH, SCHEMA, example, part, prompt, scorer

ROOT = Path(__file__).resolve().parents[3]
EVALS = ROOT / "prompts" / "04-evals"


ABC: JsonObject = {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("how", "output", "expected", "score", "loss"),
    [
        (scorer("exact"), {"kind": "resistor"}, {"kind": "resistor"}, 1.0, ""),
        (scorer("exact"), {"a": "x"}, {"a": "X"}, 0.0, "expected {'a': 'X'}, got {'a': 'x'}"),
        (scorer("exact", field="a"), {"a": "x"}, {"a": "y"}, 0.0, "a: expected y, got x"),
        (scorer("exact", field="n"), {"n": True}, {"n": 1}, 0.0, "n: expected 1, got True"),
        (scorer("exact", field="n"), {"n": 1.0}, {"n": 1}, 1.0, ""),
        (scorer("text", field="kind"), {"kind": " RESISTOR "}, {"kind": "resistor"}, 1.0, ""),
        (scorer("text", field="a"), {"a": 3}, {"a": "3"}, 0.0, "a: expected '3', got 3"),
        (scorer("text", field="a.b"), {"a": {"b": "X"}}, {"a": {"b": "x"}}, 1.0, ""),
        (
            scorer("text", field="resistance"),
            {"resistance": "47 kΩ"},
            {"resistance": "4.7 kΩ"},
            0.0,
            "resistance: expected 4.7 kΩ, got 47 kΩ",
        ),
        (
            scorer("text", field="maker", similarity=0.5),
            {"maker": "Murata Ltd"},
            {"maker": "Murata"},
            0.6,
            "maker: expected Murata, got Murata Ltd (similarity 0.60)",
        ),
        (
            scorer("text", field="maker", similarity=0.7),
            {"maker": "Murata Ltd"},
            {"maker": "Murata"},
            0.0,
            "maker: expected Murata, got Murata Ltd",
        ),
        (scorer("number", field="ohms", tolerance=0.5), {"ohms": 9.5}, {"ohms": 10}, 1.0, ""),
        (
            scorer("number", field="ohms", tolerance=0.4, relative_tolerance=0.01),
            {"ohms": 9.5},
            {"ohms": 10},
            0.0,
            "ohms: expected 10 ± 0.4 or 1%, got 9.5",
        ),
        (scorer("number", field="n", relative_tolerance=0.05), {"n": 9.5}, {"n": 10}, 1.0, ""),
        # 0.4 - 0.3 is 0.10000000000000003.
        (scorer("number", field="n", tolerance=0.1), {"n": 0.4}, {"n": 0.3}, 1.0, ""),
        (scorer("number", field="n", tolerance=0.1), {"n": 0.4000001}, {"n": 0.3}, 0.0, None),
        (scorer("number", field="n", relative_tolerance=0.1), {"n": 0.33}, {"n": 0.3}, 1.0, ""),
        # 1 - 0.9 is 0.09999999999999998.
        (scorer("text", field="n", similarity=0.1), {"n": "0123456789"}, {"n": "0"}, 0.1, None),
        (scorer("json_fields", fields={"a": 3, "b": 3, "c": 4}), {"a": 1, "c": 1}, ABC, 0.7, None),
        # 0.7 + 0.1 is 0.7999999999999999.
        (
            scorer("json_fields", fields={"a": 0.7, "b": 0.1, "c": 0.2}),
            {"a": 1, "b": 1},
            ABC,
            0.8,
            None,
        ),
        (scorer("number", field="n"), {"n": True}, {"n": 1}, 0.0, "n: expected 1, got True"),
        (scorer("number", field="ohms"), {}, {"ohms": 1}, 0.0, "ohms: expected 1, got nothing"),
        (scorer("number", field="ohms", tolerance=1), {"ohms": 10**400}, {"ohms": 0.5}, 0.0, None),
        (scorer("regex", field="kind", pattern="[A-Z]{2}\\d+"), {"kind": "RC0603"}, {}, 1.0, ""),
        (
            scorer("regex", field="kind", pattern="[A-Z]{2}\\d+"),
            {"kind": "RC0603 "},
            {},
            0.0,
            "kind: expected text matching [A-Z]{2}\\d+, got 'RC0603 '",
        ),
        (scorer("regex", field="kind", pattern="x"), {"kind": 1}, {}, 0.0, None),
        (scorer("json_schema"), {"kind": "x"}, {}, 1.0, ""),
        (scorer("json_schema"), {"kind": 1}, {}, 0.0, 'kind: 1 is not of type "string"'),
        (
            scorer("json_schema", schema={"properties": {"kind": {"maxLength": 2}}}),
            {"kind": "abc"},
            {},
            0.0,
            'kind: "abc" is longer than 2 characters',
        ),
        (scorer("set_f1", field="tags"), {"tags": ["B", "a"]}, {"tags": ["a", "b", "a"]}, 1.0, ""),
        (
            scorer("set_f1", field="tags"),
            {"tags": ["a", "z"]},
            {"tags": ["a", "b", "c"]},
            0.4,
            "tags: missing b, c, not expected z",
        ),
        (scorer("set_f1", field="tags"), {}, {"tags": []}, 1.0, ""),
        (
            scorer("set_f1", field="n", compare="number", tolerance=0.5),
            {"n": [1.5, 0.6]},
            {"n": [1.0, 2.0]},
            1.0,
            "",
        ),
    ],
)  # fmt: skip
def test_a_scorer_says_the_score_and_what_was_lost(
    how: Scorer, output: JsonObject, expected: JsonObject, score: float, loss: str | None
) -> None:
    result = part(how, output, expected)
    assert result.score == pytest.approx(score)
    if loss is not None:
        assert result.loss == loss


def test_long_texts_are_shown_where_they_differ() -> None:
    start = "a long description that both have " * 6
    how = scorer("exact", field="text")
    message = part(how, {"text": start + "ends so"}, {"text": start + "stops here"}).loss
    assert "stops here" in message
    assert "ends so" in message
    assert len(message) < 200


@pytest.mark.parametrize("how", EACH, ids=lambda how: how.type)
def test_no_usable_output_is_worth_nothing(how: Scorer) -> None:
    result = part(how, None, {"kind": "a"})
    assert (result.score, result.loss) == (0.0, "no usable output")
    assert all(given == 0 for _, given, _ in result.fields.values())


def test_fields_are_weighted_and_the_loss_names_the_field() -> None:
    how = scorer("json_fields", fields={"kind": 3.0, "ohms": 1.0})
    result = part(how, {"kind": "resistor", "ohms": 5}, {"kind": "resistor", "ohms": 10})
    assert result.score == 0.75
    assert result.loss == "ohms: expected 10, got 5"
    assert result.fields == {"kind": (1.0, 1, 1), "ohms": (0.0, 1, 1)}


def test_what_was_not_wanted_costs_precision_and_what_is_missing_costs_recall() -> None:
    how = scorer("json_fields", fields={"kind": 1, "ohms": 1, "note": 1})
    result = part(how, {"kind": "a", "ohms": 5, "note": None}, {"kind": "a", "note": "x"})
    assert result.fields == {"kind": (1.0, 1, 1), "ohms": (0.0, 1, 0), "note": (0.0, 0, 1)}
    assert result.loss == "ohms: expected nothing, got 5; note: expected x, got nothing"


def test_fields_inside_objects_and_lists_are_compared_each_in_its_way() -> None:
    how = scorer(
        "json_fields",
        fields={
            "maker.name": {"similarity": 0.5},
            "pins.name": {"list": "set", "weight": 2},
            "values": {"compare": "number", "relative_tolerance": 0.01},
        },
    )
    wanted: JsonObject = {
        "maker": {"name": "Murata"},
        "pins": [{"name": "VCC", "at": 1}, {"name": "GND", "at": 2}],
        "values": [1.0, 10.0, 100.0],
    }
    got: JsonObject = {
        "maker": {"name": "Murata Ltd"},
        "pins": [{"name": "gnd"}, {"name": "out"}],
        "values": [1.001, 100.5],
    }
    result = part(how, got, wanted)
    assert result.fields["maker.name"] == (pytest.approx(0.6), 1, 1)
    assert result.fields["pins.name"] == (1.0, 2, 2)
    assert result.fields["values"] == (2.0, 2, 3)
    assert result.score == pytest.approx((0.6 + 2 * 0.5 + 0.8) / 4)
    assert "pins.name: missing VCC, not expected out" in result.loss
    assert "values: expected 1.0, 10.0, 100.0 ± 1%, got 1.001, 100.5" in result.loss


def test_without_named_fields_every_value_counts_also_one_that_nobody_expected() -> None:
    result = part(scorer("json_fields"), {"a": {"b": 1}, "c": 2}, {"a": {"b": 1, "d": 3}})
    assert result.fields == {"a.b": (1.0, 1, 1), "a.d": (0.0, 0, 1), "c": (0.0, 1, 0)}
    assert result.score == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("expected", "output", "score"),
    [
        ([{"name": "A"}, {"name": "B"}], [{"name": "A", "no": 1}, {"name": "B", "no": 2}], 1.0),
        ([{"name": "A"}, {"name": "B", "no": 2}], [{"name": "A"}, {"name": "B"}], 0.5),
        ([{"name": "A", "no": []}], [{"name": "A", "no": [1]}], 0.5),
        ([], [{"name": "A", "no": 1}], 0.0),
        ([], [], 1.0),
    ],
)
def test_a_part_of_the_fields_may_be_stated_in_the_elements_of_a_list(
    expected: list[JsonValue], output: list[JsonValue], score: float
) -> None:
    how = scorer("json_fields", partial=True, fields={"pins.name": 1, "pins.no": 1})
    assert part(how, {"pins": output}, {"pins": expected}).score == score


def test_order_counts_in_a_list_unless_it_is_a_set() -> None:
    got, wanted = {"l": ["c", "a", "b"]}, {"l": ["a", "b", "c"]}
    ordered = part(scorer("json_fields", fields={"l": 1}), got, wanted)
    assert ordered.fields == {"l": (2.0, 3, 3)}
    assert ordered.loss == "l: expected a, b, c, got c, a, b"
    assert part(scorer("json_fields", fields={"l": {"list": "set"}}), got, wanted).score == 1.0


def test_scorers_add_up_by_their_weights() -> None:
    scorers = [scorer("json_schema", weight=1), scorer("exact", weight=3)]
    parts = score_answer(build_scorers(scorers, SCHEMA), {"kind": "a"}, example(kind="b"))
    assert weighted_mean(parts) == 0.25


def test_a_pattern_that_would_run_away_elsewhere_is_answered_at_once() -> None:
    how = scorer("regex", field="kind", pattern="(a+)+b")
    started = time.process_time()
    assert part(how, {"kind": "a" * 50_000}, {}).score == 0.0
    assert time.process_time() - started < 2


def test_a_pattern_that_does_not_compile_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PromptHubError, match="'\\(' of a regex scorer does not compile"):
        build_scorers([scorer("regex", field="kind", pattern="(")], SCHEMA)
    assert capfd.readouterr().err == ""


def test_normalise_folds_case_width_and_space() -> None:
    assert normalise("  Ｔexas\u00a0  Instruments ") == "texas instruments"


# --- Guessing ----------------------------------------------------------------------------------


def test_the_baseline_is_the_best_constant_answer() -> None:
    examples = [example(kind=kind) for kind in ("a", "a", "b")]
    assert majority_baseline([scorer("exact")], examples, SCHEMA) == pytest.approx(2 / 3)
    assert majority_baseline([scorer("judge")], examples, SCHEMA) is None
    assert majority_baseline([scorer("exact")], [], SCHEMA) is None


def test_a_constant_guess_resists_every_attack() -> None:
    examples = titled("a", "b")
    scorers = [scorer("exact"), scorer("injection", fields=["title"], weight=3)]
    guess = majority_baseline(scorers, examples, SCHEMA, prompt())
    assert guess == pytest.approx((0.5 + 3) / 4)


@pytest.mark.parametrize(
    ("attacks", "asked", "least", "most"),
    [
        ([{"share": 0.25}], prompt(), 0.52, 0.54),
        ([{"share": 0.25}, {"share": 0.75, "weight": 2}], prompt(), 0.6, 0.68),
        ([{}], prompt(maxLength=20), 0.5, 0.5),
        ([{"fields": ["maker"]}], prompt(), 0.5, 0.5),
        ([{}], prompt(), 0.625, 0.625),
    ],
)
def test_an_example_that_is_not_attacked_earns_nothing_for_resisting(
    attacks: list[dict[str, object]], asked: Prompt, least: float, most: float
) -> None:
    examples = titled(*["resistor", "capacitor"] * 200)
    injections = [scorer("injection", **{"fields": ["title"], **attack}) for attack in attacks]
    scorers = [scorer("exact", weight=3), *injections]
    guess = majority_baseline(scorers, examples, SCHEMA, asked)
    assert guess == pytest.approx(_mean_of_guesses(injections, examples, asked))
    assert least <= guess <= most


def titled(*kinds: str) -> list[Example]:
    return [
        example(kind=kind).model_copy(update={"id": f"e{number}", "input": {"title": "10 kΩ"}})
        for number, kind in enumerate(kinds)
    ]


def _mean_of_guesses(
    injections: Sequence[Scorer], examples: Sequence[Example], asked: Prompt
) -> float:
    """Best mean score of one constant guess, attack by attack; the exact scorer weighs 3."""

    def score(guess: JsonObject, item: Example) -> float:
        guarded = CanaryPrompt.of(asked)
        settings = (each for each in injections if isinstance(each, InjectionSettings))
        resisted = sum(each.weight for each in settings if attack_on(guarded, item, each))
        return (3 * (guess == item.expected) + resisted) / (3 + resisted)

    guesses = [{"kind": "resistor"}, {"kind": "capacitor"}]
    return max(sum(score(guess, item) for item in examples) / len(examples) for guess in guesses)


def test_two_thousand_examples_are_scored_and_guessed_at_once() -> None:
    scorers = [scorer("json_fields", fields={"brand": 1.0, "n": 2.0})]
    examples = [example(brand=f"brand {i}", n=i) for i in range(2000)]
    (ready,) = build_scorers(scorers, SCHEMA)
    started = time.process_time()
    for item in examples:
        ready.part({"brand": "other", "n": item.expected["n"]}, item)
    assert time.process_time() - started < 0.2
    started = time.process_time()
    assert majority_baseline(scorers, examples, SCHEMA) == pytest.approx(1 / 2000)
    assert time.process_time() - started < 0.5


# --- What is true of every scorer --------------------------------------------------------------


@pytest.mark.shipped
def test_every_scorer_in_the_documentation_is_one() -> None:
    text = (ROOT / "docs" / "scorers.md").read_text(encoding="utf-8")
    found = re.findall(r"^\{type: .*\}$", text, re.MULTILINE)
    parsed = [_SCORERS.validate_python(yaml.safe_load(entry)) for entry in found]
    documented = {item.type for item in parsed}
    assert documented | {"judge"} == set(re.findall(r"^## ([a-z_1]+)$", text, re.MULTILINE))


@pytest.mark.shipped
@pytest.mark.parametrize(
    "details", sorted(EVALS.glob("*/*.jsonl")), ids=lambda item: item.parent.name
)
def test_answers_that_were_scored_before_still_have_their_scores(details: Path) -> None:
    repository = PromptRepository(ROOT)
    task = details.parent.name
    prompt = repository.candidate(task)
    ready = build_scorers(read_metadata(repository, task).scorers, prompt.output)
    examples = {entry.id: entry for entry in repository.examples(task)}
    for text in details.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        try:
            output = json.loads(line["answer"])
        except ValueError:
            output = None
        if output is not None and schema_problem(output, prompt.output):
            output = None
        parts = [pure_scorer.part(output, examples[line["id"]]) for pure_scorer in ready]
        assert weighted_mean(parts) == line["score"], line


CLOSED: JsonObject = {"type": "object", "additionalProperties": False}
DECLARED: JsonObject = {
    "kind": {"type": "string"},
    "maker": {"$ref": "#/$defs/maker"},
    "pins": {"type": "array", "items": {"$ref": "#/$defs/maker"}},
    "open": {"type": "object", "properties": {"a": {}}},
    "by_pattern": {**CLOSED, "patternProperties": {"^x": {}}},
}


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({"properties": {"kinds": {"enum": ["capacitor"]}}}, ["properties.kinds"]),
        ({"required": ["colour"]}, ["required.0"]),
        ({"properties": {"maker": {"required": ["town"]}}}, ["properties.maker.required.0"]),
        (
            {"properties": {"pins": {"items": {"properties": {"at": {}}}}}},
            ["properties.pins.items.properties.at"],
        ),
        ({"required": ["kind"], "properties": {"kind": {"enum": ["capacitor"]}}}, []),
        ({"properties": {"open": {"properties": {"b": {}}}}}, []),
        ({"properties": {"by_pattern": {"required": ["x1"]}}}, []),
        # Told once, as no JSON Schema.
        ({"required": ["kinds"], "properties": {"kind": {}}}, ["required.0"]),
    ],
)
def test_a_schema_names_properties_that_a_closed_output_has(
    asked: JsonObject, places: list[str], tmp_path: Path
) -> None:
    makers: JsonObject = {"maker": {**CLOSED, "properties": {"name": {}}}}
    output = {**CLOSED, "properties": DECLARED, "$defs": makers}
    context = RuleContext(
        prompt=prompt().model_copy(update={"output": output}), root=tmp_path, has_judge=False
    )
    found = scorer("json_schema", schema={"type": "object", **asked}).complaints(context)
    assert [".".join(map(str, location)) for location, _, _ in found] == [
        f"schema.{place}" for place in places
    ]
