"""Strict JSON is read in linear time, and no deeper than everything behind it can follow."""

from __future__ import annotations

import json

import pytest

from prompt_hub.core.json_strict import (
    ENVELOPE_DEPTH,
    MAX_DEPTH,
    NestingError,
    TooManyValuesError,
    refuse_large,
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


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("a, [b], {c: d}", 1),
        ('" \\" ,,,, \\', 1),
        ([1, 2, 3], 4),
        ({"a": 1, "b": [2, {"c": "d,e"}]}, 9),
    ],
)
def test_names_and_values_are_counted_where_they_are_no_text(value: object, count: int) -> None:
    text = json.dumps(value, indent=1)
    refuse_large(text, max_values=count)
    with pytest.raises(TooManyValuesError, match=f"more than {count - 1} names and values"):
        refuse_large(text, max_values=count - 1)


@pytest.mark.parametrize("limit", [1, 3])
def test_what_nests_too_deep_is_not_looked_at_any_further(limit: int) -> None:
    refuse_large("[" * limit + '"[[[["' + "]" * limit + ",[]" * 9, max_depth=limit)
    with pytest.raises(NestingError):
        refuse_large("[" * 100_000, max_depth=limit)


@pytest.mark.parametrize("text", ["", '"', '[1, "', "[[[", "]]]]", '{"a" "b" "c"}'])
def test_what_is_no_json_is_left_to_the_parser(text: str) -> None:
    refuse_large(text, max_values=4, max_depth=3)


def test_texts_with_one_dictionary_of_names_share_their_keys() -> None:
    names: dict[str, str] = {}
    first, second = (
        strict_json(f'{{"title of a part": {{"inner name": {n}}}}}', names=names) for n in (1, 2)
    )
    assert first == {"title of a part": {"inner name": 1}}
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert next(iter(first)) is next(iter(second))
    with pytest.raises(ValueError, match="the key 'title' twice"):
        strict_json('{"title": 1, "title": 2}', names=names)
