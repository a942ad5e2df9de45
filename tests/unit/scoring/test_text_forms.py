"""What texts and part numbers lose before they are compared, and what they keep."""

from __future__ import annotations

import pytest

from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring.part_number import part_number
from prompt_hub.scoring.scorers.json_fields import FieldsSettings
from prompt_hub.scoring.scorers.text import TextSettings
from prompt_hub.scoring.text_forms import normalise, spelled
from tests.unit.evaluation.scored import part, scorer


@pytest.mark.parametrize(
    ("one", "other"),
    [("10³", "103"), ("10⁻³", "10-3"), ("H₂", "H2"), ("5½", "51⁄2"), ("7①", "71"), ("⒈0", "1.0")],
)
def test_a_raised_or_enclosed_digit_is_no_digit(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)
    assert spelled(one) != spelled(other)
    assert part(scorer("text", field="kind"), {"kind": one}, {"kind": other}).score == 0.0
    assert part(scorer("json_fields"), {"kind": one}, {"kind": other}).score == 0.0
    assert part(scorer("text", field="kind"), {"kind": one}, {"kind": one}).score == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("Ｔexas\u00a0 Instruments", "texas instruments"), ("Würth™", "WÜRTHTM"), ("㎡", "m²")],
        *[("4.7 k\u2126", "4.7 KΩ"), ("µ", "μ"), ("e\u0301", "É"), ("１２", "12"), ("ﬁlm", "FILM")],
    ],
)
def test_what_was_the_same_before_still_is(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_case_is_kept_where_that_is_stated() -> None:
    got, wanted = {"kind": "10 mΩ"}, {"kind": "10 MΩ"}
    assert part(scorer("text", field="kind"), got, wanted).score == 1.0
    assert part(scorer("text", field="kind", case="keep"), got, wanted).score == 0.0
    how = scorer("text", field="kind", case="keep")
    assert part(how, {"kind": " 10\u00a0MΩ"}, wanted).score == 1.0
    near = part(scorer("text", field="kind", case="keep", similarity=0.5), got, wanted)
    assert near.score == pytest.approx(0.8)


def test_case_is_kept_by_fields_of_their_own_and_by_all_of_them() -> None:
    got: JsonObject = {"a": "mF", "b": "mF"}
    wanted: JsonObject = {"a": "MF", "b": "MF"}

    def matched(**options: object) -> dict[str, float]:
        fields = part(scorer("json_fields", **options), got, wanted).fields
        return {name: counts[0] for name, counts in fields.items()}

    assert matched() == {"a": 1.0, "b": 1.0}
    assert matched(case="keep") == {"a": 0.0, "b": 0.0}
    assert matched(fields={"a": {"case": "keep"}, "b": 1}) == {"a": 0.0, "b": 1.0}
    assert matched(case="keep", fields={"a": 1, "b": {"case": "fold"}}) == {"a": 0.0, "b": 1.0}
    sets = scorer("set_f1", field="l", case="keep")
    assert part(sets, {"l": ["mF", "MF"]}, {"l": ["MF"]}).fields["l"] == (1.0, 2, 1)


def test_options_that_are_as_usual_are_not_part_of_what_is_hashed() -> None:
    settings = FieldsSettings.model_validate({"type": "json_fields", "fields": {"a": 1.0}})
    rule = {"compare": "text", "similarity": None, "tolerance": 0.0, "relative_tolerance": 0.0}
    assert settings.model_dump(mode="json") == {
        "type": "json_fields",
        "weight": 1.0,
        "fields": {"a": {**rule, "weight": 1.0, "list": "ordered"}},
    }
    text = TextSettings.model_validate({"type": "text", "field": "a"})
    assert "case" not in text.model_dump(mode="json")
    kept = TextSettings.model_validate({"type": "text", "field": "a", "case": "keep"})
    assert kept.model_dump(mode="json")["case"] == "keep"


# --- Part numbers ------------------------------------------------------------------------------

SAME = [
    ("ERJ-6ENF1002V", "erj‑6enf1002v"),
    ("LM358AP ", "LM358 AP"),
    ("2N7002,215", "2n7002, 215"),
]
DIFFERENT = [
    *[("SMBJ6.0CA", "SMBJ60CA"), ("LT1763CS8#PBF", "LT1763CS8"), ("MAX232ESE+", "MAX232ESE")],
    *[("2N7002,215", "2N7002"), ("PCF8563T/5", "PCF8563T5"), ("BC847-B", "BC847B")],
    *[("LM2596SX-5.0/NOPB", "LM2596SX-5.0"), ("AD8605ARTZ-REEL7", "AD8605ARTZ")],
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spaces_case_and_kinds_of_hyphens_do_not_matter(one: str, other: str) -> None:
    assert part_number(one) == part_number(other)
    how = scorer("part_number", field="part")
    assert part(how, {"part": one}, {"part": other}).score == 1.0


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_punctuation_of_a_part_number_counts(one: str, other: str) -> None:
    assert part_number(one) != part_number(other)
    how = scorer("json_fields", fields={"part": {"compare": "part_number"}})
    assert part(how, {"part": one}, {"part": other}).score == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("LT1763CS8#TRPBF", "LT1763CS8#PBF"), ("LT1763CS8#TR", "LT1763CS8")],
        *[("LT1763CS8#TRMPBF", "lt1763cs8#pbf"), ("AD8605ARTZ-REEL7", "AD8605ARTZ")],
        *[("ADUM1201ARZ-RL7", "ADUM1201ARZ"), ("FT232RL-REEL", "FT232RL")],
        *[("MAX232ESE+T", "MAX232ESE+"), ("DS1302Z+T&R", "DS1302Z+"), ("2N7002,215", "2N7002")],
        *[("74HC595D,118", "74HC595D"), ("PCF8563T/5,518", "PCF8563T/5")],
    ],
)
def test_packaging_is_stripped_where_that_is_stated(one: str, other: str) -> None:
    assert part_number(one) != part_number(other)
    assert part_number(one, strip_packaging=True) == part_number(other, strip_packaging=True)
    how = scorer("part_number", field="part", strip_packaging=True)
    assert part(how, {"part": one}, {"part": other}).score == 1.0


@pytest.mark.parametrize(
    "text", ["LT1763CS8#PBF", "MAX232ESET", "MAX232ESE+", "SSM3J328R,LF", "T", "LM317-ADJ", "-RL7X"]
)
def test_nothing_else_is_stripped(text: str) -> None:
    assert part_number(text, "keep", strip_packaging=True) == text
