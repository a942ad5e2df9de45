"""What a record said in the words of its day: the same, and what is not the same."""

from __future__ import annotations

import pytest

from prompt_hub.evaluation.earlier_words import as_sealed, says_the_same

POWER = "power: with these 48 examples a drop of 0.31 would be seen (probability 0.8);"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            f"{POWER} to rule out a drop of 0.1 where there is none takes 1238",
            f"{POWER} to rule out a drop of 0.1 where there is none takes 1,238 examples",
        ),
        ("power: with these 1 examples no drop", "power: with this 1 example no drop"),
        (
            "label about 1 more examples: if it stays as it is, they would decide",
            "label about 1 more example: if it stays as it is, it would decide",
        ),
        ("stopped: 1 of 1 answers of the judge", "stopped: 1 of 1 answer of the judge"),
        ("(-0.100 to +0.052): worse by 0.100", "(-0.0996 to +0.052): worse by 0.100"),
        ("(-0.100 to +0.052), 100% sure", "(-0.100 to +0.052), 99.9% sure"),
        (
            "there is no released version to compare with",
            "no other released version was measured beside it",
        ),
    ],
)
def test_words_of_an_earlier_day_say_the_same(before: str, after: str) -> None:
    assert says_the_same(before, after)
    assert as_sealed((before, "same"), (after, "same")) == (before, "same")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{POWER} takes 238", f"{POWER} takes 239 examples"),
        ("score 0.900 reaches 0.9", "score 0.890 reaches 0.9"),
        ("score 0.9001 reaches 0.9", "score 0.900 reaches 0.9"),
        ("(-0.100 to +0.052)", "(-0.0980 to +0.052)"),
        ("score 0.9 reaches 0.9", "score 0.9 is below 0.9"),
        ("worse by 1", "worse by 1.2"),
        ("(-0.100 to +0.052), 95% sure", "(-0.100 to +0.052), 90% sure"),
        (
            "no other released version was measured beside it",
            "there is no released version to compare with",
        ),
    ],
)
def test_what_says_something_else_is_no_such_words(before: str, after: str) -> None:
    assert not says_the_same(before, after)
    assert as_sealed((before,), (after,)) == (after,)


def test_more_or_fewer_reasons_are_other_reasons() -> None:
    assert as_sealed(("one",), ("one", "two")) == ("one", "two")
