"""Strict JSON is read in linear time, and no deeper than everything behind it can follow."""

from __future__ import annotations

import json

import pytest

from prompt_hub.core.json_strict import (
    ENVELOPE_DEPTH,
    MAX_DEPTH,
    NestingError,
    strict_json,
    unique_keys,
)


class CountedName(str):
    """A name that counts how often any of its kind is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def comparisons(names: int) -> int:
    """Count the comparisons that it takes to find the last of `names` given twice."""
    CountedName.compared = 0
    pairs: list[tuple[str, object]] = [(CountedName(f"k{number}"), 0) for number in range(names)]
    with pytest.raises(ValueError, match=f"the key 'k{names - 1}' twice"):
        unique_keys([*pairs, (CountedName(f"k{names - 1}"), 0)])
    return CountedName.compared


def test_a_repeated_name_is_found_in_linear_time() -> None:
    # Names whose hashes collide in a table are compared now and then, whoever else is there.
    assert comparisons(20_000) < 20_000


@pytest.mark.parametrize(
    ("text", "name"),
    [('{"a": 1, "b": 2, "a": 3}', "a"), ('[{"x": {"b": 1, "c": 2, "c": 3}}]', "c")],
)
def test_the_first_name_that_comes_again_is_told(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"the key '{name}' twice"):
        strict_json(text)


def nested(depth: int, opening: str) -> str:
    closing = {"[": "]", '{"a":': "}"}[opening]
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("limit", [MAX_DEPTH, ENVELOPE_DEPTH])
def test_values_nest_as_deep_as_the_limit_and_no_deeper(opening: str, limit: int) -> None:
    text = nested(limit, opening)
    assert json.dumps(strict_json(text, max_depth=limit), separators=(",", ":")) == text
    for depth in (limit + 1, 260, 960, 100_000):
        with pytest.raises(NestingError, match=f"nested more than {limit} deep"):
            strict_json(nested(depth, opening), max_depth=limit)


def test_what_is_wide_or_only_text_is_not_deep() -> None:
    assert strict_json("[" + "[]," * 999 + "{}]") == [[]] * 999 + [{}]
    assert strict_json(json.dumps(["[" * 999])) == ["[" * 999]
