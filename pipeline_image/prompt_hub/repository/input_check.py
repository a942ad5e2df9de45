"""Whether a request's fields fit a prompt's input schema, in words that a caller can act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from prompt_hub.core.foreign_text import shortened
from prompt_hub.core.wording import noun
from prompt_hub.repository.contract_words import choice_words, expected_of
from prompt_hub.repository.contracts import SchemaViolation, at, fits, violations
from prompt_hub.repository.schema import JsonObject

NAMES_OF_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
ARTICLES = {"integer": "an integer", "object": "an object", "array": "a list", "null": "null"}


MOST_PROBLEMS = 20
"""So many problems are told; who mends those will hear of the rest."""
MOST_NAMES = 50
"""So many values that a field may have are told."""
LONGEST_NAME = 100
"""Characters of a field's name that are repeated: callers choose the names of unknown ones."""


def field_problems(fields: JsonObject, schema: JsonObject) -> list[dict[str, str]]:
    """One entry `{field, problem}` for the first things that are wrong; empty if the fields fit.

    Values are never repeated: what callers send stays out of logs and answers.
    """
    if fits(fields, schema):
        return []
    return problems_in(fields, violations(fields, schema))


def problems_in(fields: JsonObject, found: Iterable[SchemaViolation]) -> list[dict[str, str]]:
    """Word the violations that were `found` in fields, as `field_problems` does."""
    return list_problems(entry for violation in found for entry in _entries(violation, fields))


def list_problems(found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """List what was `found`, field and problem, as `field_problems` does."""
    entries = ((shortened(field, LONGEST_NAME), problem) for field, problem in found)
    problems = islice(_distinct(entries), MOST_PROBLEMS)
    return [{"field": field, "problem": problem} for field, problem in sorted(problems)]


def in_words(problems: Iterable[Mapping[str, str]]) -> str:
    """Put entries of `field_problems` into one sentence."""
    words = (f"{problem['field'] or 'fields'} {problem['problem']}" for problem in problems)
    return f"the fields do not fit: {'; '.join(words)}"


def _distinct(entries: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        if entry not in seen:
            seen.add(entry)
            yield entry


def _entries(violation: SchemaViolation, fields: JsonObject) -> Iterator[tuple[str, str]]:
    where = ".".join(map(str, violation.location))
    prefix = f"{where}." if where else ""
    wanted = violation.value
    match violation.keyword:
        case "required":
            yield f"{prefix}{wanted}", "is missing"
        case "additionalProperties" | "unevaluatedProperties":
            for name in _words(wanted):
                yield prefix + name, "is not a field of this task"
        case "type" | "anyOf" | "oneOf" if wanted:
            types = sorted(_words(wanted), key=lambda word: (word == "null", word))
            expected = " or ".join(ARTICLES.get(type_, f"a {type_}") for type_ in types)
            found = NAMES_OF_TYPES.get(type(at(fields, violation.location)), "something else")
            yield where, f"must be {expected}, is {found}"
        case "enum" if isinstance(wanted, str):
            # The words of `LargeEnum`, in which the value comes first.
            yield where, f"must be one of: {wanted.rpartition(' is not one of ')[2]}"
        case "enum":
            allowed = choice_words(wanted) if isinstance(wanted, list) else []
            more = f", and {len(allowed) - MOST_NAMES} more" if len(allowed) > MOST_NAMES else ""
            yield where, f"must be one of: {', '.join(allowed[:MOST_NAMES])}{more}"
        case "minLength":
            yield where, f"must have at least {_characters(wanted)}"
        case "maxLength":
            yield where, f"must have at most {_characters(wanted)}"
        case rule:
            # Of a rule that has no words here `wanted` may quote the value: `contains` and others.
            expected = expected_of(rule, wanted)
            yield where, f"must be {expected}" if expected else f"breaks the rule {rule!r}"


def _characters(wanted: object) -> str:
    return f"{wanted} {noun(wanted, 'character')}"


def _words(wanted: object) -> list[str]:
    return [str(item) for item in wanted] if isinstance(wanted, list) else []
