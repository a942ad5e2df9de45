"""In which way a value breaks its contract: the reason whole, whatever the value's length."""

from __future__ import annotations

import pytest

from prompt_hub.llm.response import output_in
from prompt_hub.repository.contract_words import SHORT
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import RepositoryFolder

REFERENCES = ", ".join(f"C{number}" for number in range(1, 90))
SHOWN = '"C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C…"'
LONG_PATTERN = "^" + "[A-Z]?" * 40 + "$"

REASONS: dict[str, tuple[JsonObject, object, str]] = {
    "too long": ({"maxLength": 200}, REFERENCES, f"longer than 200 characters ({SHOWN})"),
    "too short": ({"minLength": 900}, REFERENCES, f"shorter than 900 characters ({SHOWN})"),
    "of an enum": ({"enum": ["a", "b"]}, REFERENCES, f'not one of "a" or "b" ({SHOWN})'),
    "of a pattern": (
        {"pattern": LONG_PATTERN},
        REFERENCES,
        f'does not match "{LONG_PATTERN}" ({SHOWN})',
    ),
    "of a type": ({"type": "integer"}, REFERENCES, f'not of type "integer" ({SHOWN})'),
    "too many": ({"maxItems": 1}, [REFERENCES, 2], f"has more than 1 item ([{SHOWN[:58]}…)"),
    "none of them": (
        {"contains": {"type": "integer"}},
        [REFERENCES],
        f"none of them are valid under the given schema ([{SHOWN[:58]}…)",
    ),
    "never": (
        {"not": {"type": "string"}},
        REFERENCES,
        f'must not fit {{"type":"string"}} ({SHOWN})',
    ),
    "a number": ({"maximum": 1}, 10**200, f"greater than the maximum of 1 (1{'0' * 58}…)"),
    "a name": (
        {"propertyNames": {"maxLength": 3}},
        {REFERENCES: 1},
        f"longer than 3 characters ({SHOWN})",
    ),
    "left over": (
        {"unevaluatedProperties": False},
        {f"field {number}": 1 for number in range(50)},
        'unevaluated properties are not allowed ("field 0", "field 1", "field 2", 47 more)',
    ),
    "a constant": ({"const": LONG_PATTERN}, REFERENCES, f'"{LONG_PATTERN}" was expected'),
    "quotes": ({"type": "integer"}, '"' * 200, 'not of type "integer" ("\\"\\"'),
}


@pytest.mark.parametrize(("rule", "value", "says"), REASONS.values(), ids=REASONS)
def test_the_reason_comes_first_and_the_value_loses_its_end(
    rule: JsonObject, value: object, says: str
) -> None:
    schema: JsonObject = {"type": "object", "properties": {"title": rule}}
    problem = schema_problem({"title": value}, schema)  # type: ignore[dict-item]
    assert problem is not None
    assert problem.startswith(f"title: {says}")


def test_short_messages_are_the_validators_own() -> None:
    schema: JsonObject = {"type": "object", "properties": {"title": {"maxLength": 3}}}
    assert schema_problem({"title": "BAT54"}, schema) == (
        'title: "BAT54" is longer than 3 characters'
    )
    at_the_edge = "x" * (SHORT - len('"" is longer than 3 characters'))
    problem = schema_problem({"title": at_the_edge}, schema)
    assert problem == f'title: "{at_the_edge}" is longer than 3 characters'
    assert schema_problem({"title": f"{at_the_edge}x"}, schema) == (
        f'title: longer than 3 characters ("{"x" * 57}…")'
    )


def test_an_answer_says_why_it_breaks_the_contract(healthy: RepositoryFolder) -> None:
    schema: JsonObject = {"type": "object", "properties": {"part": {"enum": ["diode"]}}}
    prompt = healthy.repository.candidate("part-class").model_copy(update={"output": schema})
    assert output_in(f'{{"part": "{REFERENCES}"}}', prompt) == (
        None,
        f'part: not one of "diode" ({SHOWN})',
    )
