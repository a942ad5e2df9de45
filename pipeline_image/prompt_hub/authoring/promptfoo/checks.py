"""Whether what promptfoo asserts of an answer holds of one that is known to be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.documents import json_or_text
from prompt_hub.authoring.importing.schemas import read_schema, why_unusable
from prompt_hub.authoring.promptfoo.tests import Assertion
from prompt_hub.authoring.promptfoo.variables import listed
from prompt_hub.authoring.promptfoo.vocabulary import JSON_CHECKS, stated_fields
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
        fields = stated_fields(value, parsed=True) or stated_fields(value, parsed=False)
        if not isinstance(answer, dict) or fields is None or fields.keys() - answer.keys():
            return None
        return all(js.identical(answer[name], wanted) for name, wanted in fields.items())
    check = _TEXT_CHECKS.get(kind)
    if check is None:
        return None
    try:
        if text is not None:
            return check(value, text)
        # How a model spaces its JSON is not known; what stands in a field stands in the text.
        inside = "contains" in kind and check(value, _told(answer))
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


def _told(answer: JsonValue) -> str:
    leaves = (part for part in js.parts(answer) if not isinstance(part, dict | list))
    return " ".join(map(js.text, leaves))


def _parsed(answer: JsonValue) -> JsonValue:
    return json_or_text(answer) if isinstance(answer, str) else answer


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
    try:
        return matcher(f"(?s:.*)(?:{pattern})(?s:.*)")(answer)
    except ValueError as error:
        why = f"patterns here are those of RE2, which look neither around nor back: {error}"
        raise ValueError(why) from None


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
