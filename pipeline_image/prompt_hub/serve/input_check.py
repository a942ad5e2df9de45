"""Whether a request's fields fit a prompt's input schema, in words that a caller can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prompt_hub.prompts.models import JsonObject

if TYPE_CHECKING:
    from jsonschema import ValidationError

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


def field_problems(fields: Mapping[str, object], schema: JsonObject) -> list[dict[str, str]]:
    """One entry `{field, problem}` for everything that is wrong; empty if the fields fit.

    Values are never repeated: what callers send stays out of logs and answers.
    """
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(schema).iter_errors(dict(fields))
    # jsonschema reports every missing field as an error of its own, each listing them all.
    problems = dict.fromkeys(entry for error in errors for entry in _entries(error))
    return [{"field": field, "problem": problem} for field, problem in sorted(problems)]


def _entries(error: ValidationError) -> Iterator[tuple[str, str]]:
    where = ".".join(map(str, error.absolute_path))
    prefix = f"{where}." if where else ""
    wanted = error.validator_value
    given = set(error.instance) if isinstance(error.instance, Mapping) else set()
    match error.validator:
        case "required":
            for name in _words(wanted):
                if name not in given:
                    yield prefix + name, "is missing"
        case "additionalProperties" if isinstance(error.schema, Mapping):
            for name in sorted(given - set(error.schema.get("properties", {}))):
                yield prefix + name, "is not a field of this task"
        case "type":
            types = [wanted] if isinstance(wanted, str) else _words(wanted)
            expected = " or ".join(ARTICLES.get(one, f"a {one}") for one in types)
            found = NAMES_OF_TYPES.get(type(error.instance), "something else")
            yield where, f"must be {expected}, is {found}"
        case "enum":
            yield where, f"must be one of: {', '.join(_words(wanted))}"
        case "minLength":
            yield where, f"must have at least {wanted} characters"
        case "maxLength":
            yield where, f"must have at most {wanted} characters"
        case rule:
            yield where, f"breaks the rule {rule!r}: {wanted!r}"


def _words(wanted: object) -> list[str]:
    return [str(one) for one in wanted] if isinstance(wanted, list) else []
