"""Which outputs the scorers and examples of another version can be asked about."""

from __future__ import annotations

import pytest

from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.scoring.scorable import unscorable_reason
from tests.unit.repository.prompts import prompt


def reason(
    output: JsonObject,
    expected: JsonObject,
    *scorers: JsonObject,
    written_for: JsonObject | None = None,
) -> str | None:
    asked = prompt("Which part?", task="part", output=output)
    metadata = ScoringMetadata.model_validate(
        {
            "schema": "prompt-hub/metadata@1",
            "task": "part",
            "owner": "team",
            "version": "1.1.0",
            "description": "Kinds of parts.",
            "candidate": "00-templates/part.yaml",
            "up_to_date": dict.fromkeys(("examples", "input", "output"), "0" * 64),
            "threshold": 0.8,
            "scorers": scorers,
        }
    )
    example = Example.model_validate({"id": "BAT54", "input": {}, "expected": expected})
    return unscorable_reason(asked, metadata.scorers, [example], written_for or {"type": "object"})


def closed(**properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": {**properties},
    }


def opened(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {**properties}}


def optional(schema: JsonObject) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]}


def rows(schema: JsonObject) -> JsonObject:
    return {"type": "array", "items": schema}


TEXT: JsonObject = {"type": "string"}
KIND: JsonObject = {"type": "text", "field": "kind"}
FIELDS: JsonObject = {"type": "json_fields"}
EXACT: JsonObject = {"type": "exact"}
OWN: JsonObject = {"type": "python", "entry": "scorers.units:score"}


@pytest.mark.parametrize(
    "scorer",
    [
        KIND,
        {"type": "exact", "field": "kind"},
        {"type": "number", "field": "kind"},
        {"type": "regex", "field": "kind", "pattern": "d.*"},
        {"type": "json_fields", "fields": {"kind": 1.0}},
    ],
)
def test_a_field_that_a_scorer_names_and_the_output_lacks_cannot_be_scored(
    scorer: JsonObject,
) -> None:
    assert reason(closed(part_class=TEXT), {"kind": "diode"}, scorer) == (
        "the output of part 1.0.0 does not suit the scorers (found 'kind'; expected a property of"
        " the output: part_class)"
    )


@pytest.mark.parametrize("scorer", [FIELDS, EXACT, OWN])
@pytest.mark.parametrize(
    ("before", "now"),
    [
        (closed(part_class=TEXT), {"kind": "diode"}),
        (closed(kind=TEXT), {"kind": "diode", "pins": 2}),
        (closed(kind=TEXT, pins=TEXT), {"kind": "diode"}),
        ({**closed(part_class=TEXT), "additionalProperties": True}, {"kind": "diode"}),
        (closed(kind={"type": "array", "items": TEXT}), {"kind": {"name": "diode"}}),
        (closed(kind={"type": "integer"}), {"kind": "805"}),
    ],
)
def test_who_compares_whole_outputs_cannot_score_one_of_another_form(
    scorer: JsonObject, before: JsonObject, now: JsonObject
) -> None:
    told = reason(before, now, scorer)
    assert told is not None
    assert told.startswith("the output of part 1.0.0 does not take what is expected of BAT54 (")


@pytest.mark.parametrize("scorer", [KIND, {"type": "exact", "field": "kind"}])
def test_a_field_that_is_of_another_type_cannot_be_scored(scorer: JsonObject) -> None:
    told = reason(closed(kind={"type": ["integer", "string"]}), {"kind": ["805"]}, scorer)
    assert told is not None
    assert "kind: " in told


@pytest.mark.parametrize(
    ("before", "now", "scorer"),
    [
        (closed(kind={"type": "string", "enum": ["diode"]}), {"kind": "resistor"}, EXACT),
        (closed(kind={"type": "string", "maxLength": 3}), {"kind": "resistor"}, FIELDS),
        (closed(kind=TEXT), {"kind": None}, EXACT),
        (closed(kind={"type": "integer"}), {"kind": 0.5}, FIELDS),
        (closed(kind=TEXT), {"kind": "diode", "note": "not scored"}, KIND),
        (closed(kind=TEXT, pins=TEXT), {"kind": "diode"}, KIND),
        (closed(kind=TEXT, pins=TEXT), {"kind": "diode"}, {**FIELDS, "partial": True}),
        (closed(kind={"type": "number"}), {"kind": "4k7"}, {"type": "quantity", "field": "kind"}),
        (closed(part_class=TEXT), {"kind": "diode"}, {"type": "json_schema"}),
    ],
)
def test_a_narrower_output_is_scored_and_so_is_a_field_that_no_scorer_looks_at(
    before: JsonObject, now: JsonObject, scorer: JsonObject
) -> None:
    attacks: JsonObject = {"type": "injection", "fields": ["a_new_field"]}
    assert reason(before, now, scorer, attacks) is None


PARTS: JsonObject = {"parts": [{"mpn": "a"}]}
SPEC: JsonObject = {"spec": {"mpn": "a"}}
IN_SPEC: JsonObject = {**FIELDS, "fields": {"spec": 1}}


@pytest.mark.parametrize(
    ("before", "now", "scorer"),
    [
        (opened(kind=TEXT), {"kind": "a", "pins": 2}, FIELDS),
        (opened(part_class=TEXT), {"kind": "a"}, EXACT),
        (opened(kind=TEXT), {"kind": "a", "pins": 2}, {**FIELDS, "partial": True}),
        (opened(parts=rows(opened(name=TEXT))), PARTS, FIELDS),
        (
            closed(parts=rows(closed(name=TEXT))),
            PARTS,
            {**FIELDS, "fields": {"parts": {"list": "set"}}},
        ),
        (closed(spec=closed(name=TEXT)), SPEC, IN_SPEC),
        (closed(spec=opened(name=TEXT)), SPEC, {"type": "exact", "field": "spec"}),
        (closed(spec=optional(closed(name=TEXT))), SPEC, FIELDS),
        (closed(spec=optional(closed(name=TEXT))), SPEC, IN_SPEC),
        (closed(spec=optional(closed(name=TEXT))), SPEC, {**FIELDS, "fields": {"spec.mpn": 1}}),
        (closed(spec=closed(name=TEXT, mpn=TEXT)), SPEC, IN_SPEC),
        (closed(spec=closed(mpn={"type": "integer"})), SPEC, IN_SPEC),
    ],
)
def test_a_name_that_changed_is_seen_wherever_a_scorer_looks(
    before: JsonObject, now: JsonObject, scorer: JsonObject
) -> None:
    """Else a champion that is right in its own form loses what nobody asked it for."""
    assert reason(before, now, scorer) is not None


SELF: JsonObject = {"$ref": "#/$defs/part"}
TREE: JsonObject = {**opened(part=SELF), "$defs": {"part": opened(name=TEXT, parts=rows(SELF))}}
LOOP: JsonObject = {**opened(spec=SELF), "$defs": {"part": optional(SELF)}}


@pytest.mark.parametrize(
    ("before", "now", "scorer"),
    [
        (opened(kind=TEXT, note=TEXT), {"kind": "a"}, FIELDS),
        (opened(kind=TEXT), {"kind": "a", "note": None, "tags": []}, FIELDS),
        (closed(kind=TEXT), {"kind": "a", "note": None, "tags": []}, FIELDS),
        ({"type": "object"}, {"kind": "a"}, FIELDS),
        ({**opened(kind=TEXT), "additionalProperties": TEXT}, {"kind": "a", "0402": "b"}, FIELDS),
        ({**opened(kind=TEXT), "allOf": [opened(note=TEXT)]}, {"kind": "a", "note": "b"}, FIELDS),
        (opened(kind=TEXT), {"kind": "a", "pins": 2}, KIND),
        (opened(spec={"type": "object"}), SPEC, IN_SPEC),
        (opened(spec={"anyOf": [opened(name=TEXT), opened(mpn=TEXT)]}), SPEC, FIELDS),
        (TREE, {"part": {"name": "a", "parts": [{"name": "b"}]}}, FIELDS),
        (LOOP, SPEC, FIELDS),
        (closed(spec=closed(name=TEXT), kind=TEXT), {"kind": "a", **SPEC}, KIND),
        (closed(kind=TEXT, note={"type": ["string", "null"]}), {"kind": "a"}, FIELDS),
        (closed(kind=TEXT, note={"type": ["string", "null"]}), {"kind": "a"}, EXACT),
        (closed(kind=TEXT, note=optional(TEXT)), {"kind": "a"}, FIELDS),
        (closed(kind=TEXT, tags=rows(TEXT)), {"kind": "a"}, FIELDS),
        (closed(kind=TEXT), {"kind": []}, FIELDS),
    ],
)
def test_what_is_scored_as_the_same_is_compared_and_so_is_what_is_in_doubt(
    before: JsonObject, now: JsonObject, scorer: JsonObject
) -> None:
    assert reason(before, now, scorer) is None


def test_an_empty_list_is_not_as_good_as_none_to_who_compares_values_as_a_whole() -> None:
    tags = closed(kind=TEXT, tags=rows(TEXT))
    assert reason(tags, {"kind": "a"}, EXACT) is not None
    assert reason(closed(parts=rows(tags)), {"parts": [{"kind": "a"}]}, FIELDS) is not None


def test_a_name_that_the_candidate_does_not_declare_either_has_not_changed() -> None:
    kinds, expected = opened(kind=TEXT), {"kind": "a", "note": "b"}
    assert reason(kinds, expected, FIELDS, written_for=kinds) is None
    assert reason(kinds, expected, FIELDS, written_for=opened(kind=TEXT, note=TEXT)) is not None
