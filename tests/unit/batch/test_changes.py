"""What differs between two lines of a record, and how it is counted within bounds."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from prompt_hub.batch.changes import (
    MOST_PAIRS,
    MOST_SHOWN,
    SHOWN_OF_A_PAIR,
    ChangeTally,
    changes_between,
)


def line(number: int, output: JsonValue, error: str | None = None) -> dict[str, JsonValue]:
    return {"record": number, "input": {"n": number}, "output": output, "error": error}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"a": 1, "b": [1, {"x": 2}]}, {"b": [1, {"x": 2}], "a": 1}, []),
        ({"a": 1}, {"a": True}, [{"before": 1, "after": True}]),
        ({"a": None}, {}, [{"before": None}]),
        ({}, {"a": "x"}, [{"after": "x"}]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [{"before": {"b": 1}, "after": {"b": 2}}]),
    ],
)
def test_fields_are_compared_as_json(
    before: JsonValue, after: JsonValue, changed: list[object]
) -> None:
    found = changes_between(line(1, before), line(1, after))
    assert [change.sides for change in found] == changed


def test_an_error_is_a_change_of_its_own() -> None:
    [error, field] = changes_between(line(1, None, "line 2: empty"), line(1, {"a": 1}))
    assert error.to_line(1) == {"record": 1, "field": None, "before": "line 2: empty"}
    assert field.to_line(1) == {"record": 1, "field": "a", "after": 1}


def test_errors_are_counted_without_what_is_particular_to_a_record() -> None:
    tally = ChangeTally()
    for number in range(1, 6):
        tally.add(line(number, None, f"line {number}: column {number} is bad"), line(number, {}))
    assert tally.fields[None].pairs == {("column … is bad", None): 5}
    assert (tally.records, tally.changed, tally.mended, tally.failed) == (5, 5, 5, 0)


def test_free_text_is_counted_within_bounds() -> None:
    tally = ChangeTally()
    for number in range(1, MOST_PAIRS + 101):
        tally.add(line(number, {"a": f"text {number}"}), line(number, {"a": "one"}))
    assert len(tally.fields["a"].pairs) == MOST_PAIRS
    assert (tally.fields["a"].changed, tally.fields["a"].others) == (MOST_PAIRS + 100, 100)
    assert len(tally.shown) == MOST_SHOWN


def test_a_rare_change_is_shown_however_many_frequent_ones_come_before() -> None:
    tally = ChangeTally()
    for number in range(1, 3 * MOST_SHOWN):
        tally.add(line(number, {"a": "x"}), line(number, {"a": "y"}))
    for number in range(3 * MOST_SHOWN, 3 * MOST_SHOWN + 50):
        tally.add(line(number, {"a": "x"}), line(number, {"a": "z"}))
    rare = [each for each in tally.shown if each.changes[0].sides["after"] == "z"]
    assert len(rare) == SHOWN_OF_A_PAIR
    assert len(tally.shown) == MOST_SHOWN // 2 + SHOWN_OF_A_PAIR
