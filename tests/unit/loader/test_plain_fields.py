"""Records as applications hold them: enums, dates and whatever else Python has and JSON has not."""

from __future__ import annotations

import uuid
from datetime import date
from enum import Enum, IntEnum, StrEnum
from pathlib import Path

import pytest

from prompt_hub.loader import InvalidFieldsError
from prompt_hub.loader.plain_fields import plain_fields
from prompt_hub.repository.schema import JsonObject
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import TASK, follow

FIELDS: JsonObject = {"part_number": "RC0603FR-0710KL", "title": "Thick film resistor"}
NOT_JSON = "must be a JSON value, is something else"


class Maker(str, Enum):  # noqa: UP042 - the older way, which prints its Python name
    VISHAY = "Vishay"


class Plain(Enum):
    VISHAY = "Vishay"
    NAMES = ("a", "b")


class Word(StrEnum):
    VISHAY = "Vishay"


class Size(IntEnum):
    SMALL = 1


class Loud(str):
    """Prints something else than it holds."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


class Metres(float):
    """A number with a unit, as libraries of numbers have it."""

    __slots__ = ()


@pytest.mark.parametrize("title", [Maker.VISHAY, Plain.VISHAY, Word.VISHAY, Loud("Vishay")])
def test_what_the_contract_has_judged_is_rendered(
    built: Path, ledger: FakeLedger, title: object
) -> None:
    with follow(built, ledger) as prompts:
        given = {**FIELDS, "title": title}
        expected = prompts[TASK].render({**FIELDS, "title": "Vishay"})
        assert prompts[TASK].render(given) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [date(2020, 1, 1), b"secret", uuid.uuid4(), {"secret"}, object(), 1j]
)
def test_what_is_no_json_is_told_as_any_wrong_field(
    built: Path, ledger: FakeLedger, wrong: object
) -> None:
    with follow(built, ledger) as prompts, pytest.raises(InvalidFieldsError) as caught:
        prompts[TASK].render({**FIELDS, "title": wrong})  # type: ignore[dict-item]
    assert caught.value.fields == [{"field": "title", "problem": NOT_JSON}]
    assert str(wrong) not in str(caught.value)


@pytest.mark.parametrize("fields", [None, ["title"], "title"])
def test_a_record_that_is_no_object_breaks_the_contract(
    built: Path, ledger: FakeLedger, fields: object
) -> None:
    with follow(built, ledger) as prompts, pytest.raises(InvalidFieldsError, match="an object"):
        prompts[TASK].render(fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Size.SMALL, 1),
        (Metres(2.5), 2.5),
        (True, True),
        (10**400, 10**400),
        ((1, None, ("x",)), [1, None, ["x"]]),
        (Plain.NAMES, ["a", "b"]),
        ({Maker.VISHAY: {Loud("key"): Word.VISHAY}}, {"Vishay": {"key": "Vishay"}}),
    ],
)
def test_python_objects_stand_for_what_they_hold(value: object, expected: object) -> None:
    plain, problems = plain_fields({"value": value})  # type: ignore[dict-item]
    assert problems == []
    assert plain == {"value": expected}
    assert repr(plain["value"]) == repr(expected)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": [1, {"b": {1}}]}, "value.a.1.b"),
        ({1: "secret"}, "value"),
        ({"\ud800": "secret"}, "value"),
        ("\ud800", "value"),
        (float("nan"), "value"),
        ([float("-inf")], "value.0"),
    ],
)
def test_what_json_cannot_have_is_told_by_its_place(value: object, field: str) -> None:
    _, problems = plain_fields({"value": value})  # type: ignore[dict-item]
    assert problems == [{"field": field, "problem": NOT_JSON}]


def test_what_refers_to_itself_twice_is_told_at_once() -> None:
    parent: JsonObject = {}
    parent["children"] = [{"parent": parent}, {"parent": parent}]
    _, problems = plain_fields(parent)
    assert {entry["problem"] for entry in problems} == {NOT_JSON}
