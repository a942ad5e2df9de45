"""Patterns, formats, large enumerations: which are taken, what they mean, what is said."""

from __future__ import annotations

import time

import jsonschema_rs
import pytest
from pydantic import JsonValue

from prompt_hub.repository import formats
from prompt_hub.repository.contracts import schema_problem, schema_problems, violations
from prompt_hub.repository.large_enums import LARGE
from prompt_hub.repository.schema import JsonObject


def holding(part: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {"a": part}}


def fits(value: JsonValue, part: JsonObject) -> bool:
    return schema_problem({"a": value}, holding(part)) is None


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\p{L}+$", "Ωhm", "4k7"),
        (r"^\p{Script=Greek}+$", "Ω", "O"),
        (r"^(?<first>a)b$", "ab", "b"),
        (r"^\u00e9$", "é", "e"),
        ("^[(?=]$", "(", "x"),
        (r"^\\1$", "\\1", "1"),
    ],
)
def test_a_pattern_is_judged_by_the_engine_that_matches_it(
    pattern: str, good: str, bad: str
) -> None:
    assert schema_problems(holding({"pattern": pattern})) == ()
    assert fits(good, {"pattern": pattern})
    assert not fits(bad, {"pattern": pattern})


LOOKS = "it looks around or back, which could take for ever"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^a{,3}$", "a repetition without its least number"),
        ("{", "a brace that is meant as text"),
        ("a{99999999}", "it repeats something too often"),
        (r"\p{Nonsense}", "it names a class of characters that Unicode does not have"),
        (r"a\Z", "the engine of linear time"),
        ("[a-", "unterminated character set"),
        ("a{2,1}", "min repeat greater than max repeat"),
        ("\\", "bad escape (end of pattern)"),
        (r"(?=\p{L})b", LOOKS),
        ("(?!a)b", LOOKS),
        ("(?<!a)b", LOOKS),
        (r"(a)\1", LOOKS),
        (r"(?<n>a)\k<n>", LOOKS),
    ],
)
def test_a_pattern_that_is_refused_is_told_why(pattern: str, reason: str) -> None:
    (problem,) = schema_problems(holding({"pattern": pattern}))
    assert problem.found.removeprefix(f"{pattern!r}: ").startswith(reason)


KEPT = {
    "date": "2026-11-27",
    "date-time": "2026-11-27T08:00:00Z",
    "duration": "P1DT2H",
    "email": "a@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "08:00:00Z",
    "uri": "https://example.org/a",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def test_formats_that_a_provider_asserts_are_asserted() -> None:
    assert KEPT.keys() == formats.ASSERTED
    for name, value in KEPT.items():
        assert fits(value, {"type": "string", "format": name}), name
        assert not fits("not {at all}", {"type": "string", "format": name}), name


def test_other_formats_are_notes() -> None:
    for name in (*formats.NOT_ASSERTED, "part-number"):
        assert fits("not {at all}", {"type": "string", "format": name}), name


VALUES: list[JsonValue] = [
    "1", "a", "", 1, 1.0, 0, -0.0, True, False, None, [], [1], [1.0], [True], {}, {"a": 1},
    {"a": 1.0}, {"a": True}, {"b": [{"c": None}]}, 10**30, 1.5, 9007199254740993,
]  # fmt: skip


def test_a_large_enumeration_means_what_a_small_one_does() -> None:
    for number in range(len(VALUES)):
        members: list[JsonValue] = [*VALUES[number::3], *(f"v{i}" for i in range(LARGE))]
        plain = jsonschema_rs.Draft202012Validator({"properties": {"a": {"enum": members}}})
        for value in VALUES:
            expected = [error.message for error in plain.iter_errors({"a": value})]
            broken = violations({"a": value}, holding({"enum": members}))
            found = [violation.message for violation in broken]
            assert found == expected, (value, members[:8])


def test_values_of_a_large_enumeration_are_checked_in_linear_time() -> None:
    members: list[JsonValue] = [f"part number {number}" for number in range(100_000)]
    schema = holding({"type": "string", "enum": members})
    began = time.process_time()
    assert schema_problems(schema) == ()
    for number in range(0, 100_000, 10):
        assert schema_problem({"a": f"part number {number}"}, schema) is None
        assert schema_problem({"a": f"no part {number}"}, schema)
    assert time.process_time() - began < 5.0
