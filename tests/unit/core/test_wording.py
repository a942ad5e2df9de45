"""Counts and scores in words: one of a thing is one, and unequal numbers look unequal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from local_aws.figures import side_by_side
from prompt_hub.core.wording import amount, count, minute, noun, score
from prompt_hub.reporting import words

CLOSE = [
    (0.9, 0.9),
    (0.8999, 0.9),
    (0.89996, 0.9),
    (2 / 3, 0.667),
    (0.6666667, 2 / 3),
    (1.0, 0.99999),
    (0.0, 0.0004),
    (0.75, 0.8),
]


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 records"), (1, "1 record"), (2, "2 records"), (12_000, "12,000 records")]
)
def test_a_count_has_its_noun(n: int, text: str) -> None:
    assert count(n, "record") == text
    assert f"{n:,} {noun(n, 'record')}" == text


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert (count(1, "batch", "batches"), count(2, "batch", "batches")) == ("1 batch", "2 batches")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (100.0, "100"),
        (1_000_000, "1,000,000"),
        (12345.678, "12,345.68"),
        (99.999, "100"),
        (12.5, "12.5"),
        (0.00003214159, "0.00003214"),
    ],
)
def test_an_amount_has_four_digits_and_no_exponent(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (0.020004, 0.02, "0.020004"),
        (0.02, 0.020004, "0.02"),
        (2.0003, 2.0, "2.0003"),
        (0.3, 0.3, "0.3"),
        (0.1 + 0.2, 0.3, "0.3"),
        (12345.678, 0.5, "12,345.68"),
    ],
)
def test_amounts_beside_each_other_look_equal_only_where_they_are(
    value: float, beside: float, text: str
) -> None:
    assert amount(value, beside) == text


def test_a_score_alone_has_three_digits() -> None:
    assert score(0.89996) == "0.900"
    assert score(0.9, None, 0.9) == "0.900"


@pytest.mark.parametrize(("one", "other"), CLOSE)
def test_scores_beside_each_other_look_equal_only_where_they_are(one: float, other: float) -> None:
    shown = score(one, other), score(other, one)
    assert (shown[0] == shown[1]) == (one == other)
    assert (float(shown[0]) < float(shown[1])) == (one < other)
    assert min(map(len, shown)) >= len("0.900")


@pytest.mark.parametrize(("one", "other"), CLOSE)
def test_the_local_aws_shows_them_alike(one: float, other: float) -> None:
    """It imports nothing of ours, and has the rule for itself."""
    assert side_by_side(one, other) == (score(one, other), score(other, one))


def test_differences_of_floats_that_nobody_can_tell_apart_stay_short() -> None:
    assert score(0.1 + 0.2, 0.3) == "0.300"
    assert words.signed(0.3 - (0.1 + 0.2)) == "±0.000"


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (-0.0996, -0.1, "−0.0996"),
        (-0.1, -0.1, "−0.100"),
        (0.00004, 0.0, "+0.0000"),
        (-0.1, 0.1, "−0.100"),
    ],
)
def test_a_difference_is_not_taken_for_the_margin_beside_it(
    value: float, beside: float, text: str
) -> None:
    assert words.signed(value, beside).startswith(text)


@pytest.mark.parametrize("hours", [-8, 0, 5.5])
def test_a_moment_is_said_in_utc_and_says_so(hours: float) -> None:
    at = datetime(2026, 11, 29, 19, 55, 59, tzinfo=UTC)
    assert minute(at.astimezone(timezone(timedelta(hours=hours)))) == "2026-11-29 19:55 UTC"
