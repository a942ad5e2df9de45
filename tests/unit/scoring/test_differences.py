"""What was expected and what came never look alike in a loss."""

from __future__ import annotations

import unicodedata

import pytest
from pydantic import JsonValue

from prompt_hub.core.hidden_characters import HIDDEN
from prompt_hub.core.unicode_forms import compatible
from prompt_hub.scoring.comparison import Comparison, difference
from prompt_hub.scoring.fields import Field

ALIKE: list[tuple[JsonValue, JsonValue]] = [
    ("Würth", unicodedata.normalize("NFD", "Würth")),
    ("A1\u200b", "A1"),
    ("A1\u3164", "A1"),
    ("47 k\u2126", "47 k\u03a9"),
    ("10 \u00b5F", "10 \u03bcF"),
    ("10\u00a0k", "10 k"),
    ("x" * 90 + "\u00fc", "x" * 90 + "u\u0308"),
    (["ü"], ["u\u0308"]),
]


@pytest.mark.parametrize(("wanted", "given"), ALIKE)
def test_what_looks_alike_is_told_by_escapes(wanted: JsonValue, given: JsonValue) -> None:
    for first, second in ((wanted, given), (given, wanted)):
        expected, _, got = difference(first, second).removeprefix("expected ").partition(", got ")
        assert compatible(HIDDEN.sub("", expected)) != compatible(HIDDEN.sub("", got))


def test_only_what_does_not_show_is_escaped() -> None:
    decomposed = unicodedata.normalize("NFD", "パナソニック")
    assert (
        difference("パナソニック", decomposed)
        == r"expected 'パナソニック', got 'ハ\u309aナソニック'"
    )
    assert difference("１０", "10") == "expected '１０', got '10'"
    assert difference("Würth", "Wurth") == "expected Würth, got Wurth"


def test_elements_of_a_set_that_look_alike_are_told_by_escapes() -> None:
    field = Field.of("maker", Comparison(compare="exact"), "set")
    assert field.loss(["Wu\u0308rth"], ["Würth"], 0.0) == (
        r"maker: missing ['Würth'], not expected ['Wu\u0308rth']"
    )
