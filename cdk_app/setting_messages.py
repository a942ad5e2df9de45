"""What pydantic found wrong with the settings, as one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from prompt_hub.repository.documents import closest
from prompt_hub.repository.messages import schema_at

_OWN_WORDS = (" ", ".", ":", "[")
"""How a validator's message begins that goes on right behind the name of the setting."""


def first_problem(model: type[BaseModel], error: ValidationError, root: str) -> str:
    """Say which setting is wrong, what it is and what it should be.

    An unknown key comes first: it may well be the one that seems to be missing.

    Args:
        model: the model of the settings.
        error: what pydantic found.
        root: name of the settings as a whole.
    """
    details = error.errors(include_url=False)
    return _sentence(model, min(details, key=lambda item: item["type"] != "extra_forbidden"), root)


def _sentence(model: type[BaseModel], item: ErrorDetails, root: str) -> str:
    location = item["loc"]
    path = _path(root, location)
    match item["type"]:
        case "missing":
            return f"{path} is missing."
        case "extra_forbidden":
            known = sorted(_keys(schema_at(model, location[:-1])))
            wrong = str(location[-1])
            meant = closest(wrong, known)
            suggestion = f"; did you mean {meant!r}?" if meant else ""
            return (
                f"{_path(root, location[:-1])} has the unknown setting {wrong!r}"
                f" (known: {', '.join(known)}{suggestion})."
            )
        case "model_type" | "dict_type":
            return f"{path} must be an object with named values."
        case _:
            return _about_value(path, schema_at(model, location), item)


def _about_value(path: str, schema: Mapping[str, object], item: ErrorDetails) -> str:
    value = item["input"]
    own = item["msg"].removeprefix("Value error, ") if item["type"] == "value_error" else ""
    if own.startswith(_OWN_WORDS):
        return f"{path}{own}"
    if "expected" in schema:
        return f"{path} {schema['expected']}."
    example = _first(schema.get("examples"))
    choices = schema.get("enum")
    if schema.get("type") == "array":
        items = schema.get("items")
        example = _first(items.get("examples")) if isinstance(items, dict) else None
        return f"{path} must be a list, such as {json.dumps([example])}."
    # Our own reason says more, and repeats nothing: an address may hold a password.
    if example is not None and not own:
        return f"{path} is {value!r}; it must look like {example}."
    if isinstance(choices, list):
        *others, last = map(str, choices)
        meant = closest(str(value), [*others, last])
        suggestion = f" (did you mean {meant!r}?)" if meant else ""
        return f"{path} is {value!r}; it must look like {', '.join(others)} or {last}{suggestion}."
    if own:
        return f"{path}: {own}."
    return f"{path} is {value!r}; it must be {_expected(schema, item)}."


def _expected(schema: Mapping[str, object], item: ErrorDetails) -> str:
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "a text, in quotes",
    }
    kind = kinds.get(str(schema.get("type")))
    if kind is None:
        return item["msg"]
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    words = [kind]
    if low is not None:
        words.append(f"{'above' if 'exclusiveMinimum' in schema else 'from'} {low:.0f}")
    if high is not None:
        words.append(f"to {high:.0f}")
    return " ".join(words)


def _path(root: str, location: Sequence[str | int]) -> str:
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _keys(schema: Mapping[str, object]) -> set[str]:
    properties = schema.get("properties")
    # The alias of a model is its key, not one of its settings.
    return set(properties) - {"alias"} if isinstance(properties, dict) else set()


def _first(examples: object) -> object:
    return examples[0] if isinstance(examples, list) and examples else None
