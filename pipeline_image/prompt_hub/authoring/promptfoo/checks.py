"""Whether what promptfoo asserts of an answer holds of one that is known to be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo.schemas import read_schema, why_unusable
from prompt_hub.authoring.promptfoo.tests import Assertion
from prompt_hub.authoring.promptfoo.variables import listed
from prompt_hub.authoring.promptfoo.vocabulary import JSON_CHECKS, loose_fields, stated_fields
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.scoring.comparison import identity


def holds(assertion: Assertion, answer: JsonValue) -> bool | None:
    """Whether an assertion holds of a right answer; None where that is not known."""
    kind = assertion.type.removeprefix("not-")
    fulfilled = _holds_as_stated(kind, assertion.value, answer)
    return fulfilled if fulfilled is None or kind == assertion.type else not fulfilled


def _holds_as_stated(kind: str, value: JsonValue, answer: JsonValue) -> bool | None:
    text = answer if isinstance(answer, str) else None
    if kind in JSON_CHECKS:
        return _keeps(value, answer, somewhere=kind == "contains-json")
    if kind == "equals":
        if text is not None and not isinstance(value, dict | list | None):
            return js.text(value) == text
        return identity(value) == identity(_parsed(answer))
    if kind == "javascript":
        as_object = stated_fields(value, parsed=True)
        fields = as_object or stated_fields(value, parsed=False)
        known = isinstance(answer, dict) and fields is not None and fields.keys() <= answer.keys()
        if not known or not isinstance(answer, dict) or fields is None:
            return None
        loose = loose_fields(value)
        return all(
            (js.alike if name in loose else js.identical)(answer[name], wanted)
            for name, wanted in fields.items()
        )
    check = _TEXT_CHECKS.get(kind)
    if check is None:
        return None
    try:
        if text is not None:
            return check(value, text)
        # How a model spaces its JSON is not known; what stands in a field stands in the text.
        inside = "contains" in kind and check(value, " ".join(_leaves(answer)))
    except (ValueError, TypeError):
        return None
    return True if inside else None


def why_unreadable(assertion: Assertion) -> str | None:
    """Why what is asserted of a text cannot be read here; None where it can."""
    check = _TEXT_CHECKS.get(assertion.type)
    try:
        if check is not None:
            check(assertion.value, "")
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _leaves(value: JsonValue) -> Iterator[str]:
    if not isinstance(value, dict | list):
        yield js.text(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _leaves(item)


def _parsed(answer: JsonValue) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(answer) if isinstance(answer, str) else answer
    except (ValueError, RecursionError):
        return answer
    return parsed


def _keeps(schema: JsonValue, answer: JsonValue, *, somewhere: bool) -> bool | None:
    """Whether an answer is JSON, and keeps the schema that is asserted of it."""
    if isinstance(answer, str) and not _is_json(answer):
        return None if somewhere and ("{" in answer or "[" in answer) else False
    if isinstance(answer, str) and somewhere and not isinstance(_parsed(answer), dict | list):
        return False
    if schema in (None, ""):
        return True
    read = read_schema(schema)
    if not isinstance(read, dict) or why_unusable(read):
        return None
    return schema_problem(_parsed(answer), read) is None


def _items(value: JsonValue) -> list[str]:
    items = listed(value) if isinstance(value, str) else value
    return [js.text(item) for item in (items if isinstance(items, list) else [items])]


def _matches(value: JsonValue, answer: str) -> bool:
    from prompt_hub.scoring.patterns import matcher

    pattern = js.text(value)
    if re.search(r"\(\?[imsU-]+\)", pattern):
        return False  # JavaScript has no such group, and promptfoo says that nothing matches
    # It names groups and characters otherwise than RE2.
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)
    pattern = re.sub(r"\\u([0-9A-Fa-f]{4})", r"\\x{\1}", pattern)
    return matcher(f"(?s:.*)(?:{pattern})(?s:.*)")(answer)


_TEXT_CHECKS: dict[str, Callable[[JsonValue, str], bool]] = {
    "contains": lambda value, answer: js.text(value) in answer,
    "icontains": lambda value, answer: js.text(value).lower() in answer.lower(),
    "contains-any": lambda value, answer: any(item in answer for item in _items(value)),
    "contains-all": lambda value, answer: all(item in answer for item in _items(value)),
    "icontains-any": lambda value, answer: any(
        item.lower() in answer.lower() for item in _items(value)
    ),
    "icontains-all": lambda value, answer: all(
        item.lower() in answer.lower() for item in _items(value)
    ),
    "starts-with": lambda value, answer: answer.startswith(js.text(value)),
    "regex": _matches,
}


def _is_json(answer: str) -> bool:
    """Whether a text is JSON as JavaScript reads it."""
    try:
        json.loads(answer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
