"""What a validator says about a value, in words that fit a line: the reason whole, the value short.

`jsonschema_rs` puts the value first and quotes all of it. Of a long value the reason would be
beyond the end of any line, so the two change places and the value loses its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prompt_hub.core.foreign_text import shortened

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

SHORT = 160
"""Characters of a message that are shown as the validator wrote them."""
_VALUE = 60
"""Characters of a value behind a reason."""
_NAMES = 3
"""Names of unexpected properties that are shown."""
_OF_THE_SCHEMA = frozenset({"const", "required"})
"""Keywords whose message quotes the schema alone."""
_UNEXPECTED = {
    "additionalProperties": "additional properties are not allowed",
    "unevaluatedItems": "unevaluated items are not allowed",
    "unevaluatedProperties": "unevaluated properties are not allowed",
}
_BEFORE_THE_VALUE = {
    "contains": ("None of ", "none of them "),
    "falseSchema": ("False schema does not allow ", "False schema does not allow it"),
}
_DECODER = json.JSONDecoder()


def reason_first(error: ValidationError) -> str:
    """Say in which way a value breaks a schema; short messages are the validator's own."""
    message = error.message
    kind = error.kind.name
    if len(message) <= SHORT or kind in _OF_THE_SCHEMA:
        return message
    if kind in _UNEXPECTED:
        names = getattr(error.kind, "unexpected", [])
        shown = [short_value(json.dumps(name, ensure_ascii=False)) for name in names[:_NAMES]]
        more = [f"{len(names) - _NAMES} more"] if len(names) > _NAMES else []
        return f"{_UNEXPECTED[kind]} ({', '.join([*shown, *more])})"
    before, reason = _BEFORE_THE_VALUE.get(kind, ("", ""))
    try:
        _, end = _DECODER.raw_decode(message, len(before))
    except ValueError:
        return message
    value, after = message[len(before) : end], message[end:]
    if kind == "not":
        # The schema stands where the value of others does.
        after, _, value = message.partition(" is not allowed for ")
        after = f"must not fit {after}"
    reason += after.strip().removeprefix("is ")
    return f"{reason} ({short_value(value)})"


def short_value(value: str) -> str:
    """Return a value, written as JSON, without its end where it is long."""
    if len(value) <= _VALUE:
        return value
    if value.startswith('"'):
        # No half of an escape is left behind.
        return value[: _VALUE - 2].rstrip("\\") + '…"'
    return value[: _VALUE - 1] + "…"


# --- As validation says it: what was found, and what was expected ------------------------------

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_CHOICES = 20
"""Members of an enumeration that are shown."""
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "a text of at least {} characters",
    "maxLength": "a text of at most {} characters",
    "minItems": "a list of at least {}",
    "maxItems": "a list of at most {}",
    "minProperties": "an object of at least {} properties",
    "maxProperties": "an object of at most {} properties",
    "pattern": "a text that matches {}",
    "format": "a text of the format {}",
}


def given_words(value: object) -> str:
    """Return a value as other problems quote it, without its end where it is long."""
    if isinstance(value, str):
        return repr(shortened(value, _VALUE))
    return short_value(json.dumps(value, ensure_ascii=False))


def expected_of(keyword: str, rule: object) -> str:
    """Say what a keyword of a schema asks for; empty for one whose own message says it best."""
    if keyword == "type":
        names = rule if isinstance(rule, list) else [rule]
        return " or ".join(_TYPES.get(str(name), str(name)) for name in names)
    if keyword == "enum" and isinstance(rule, list):
        return one_of(rule)
    if keyword == "uniqueItems":
        return "a list with each entry once"
    if keyword in ("minLength", "minItems") and rule == 1:
        return "a text that is not empty" if keyword == "minLength" else "a list that is not empty"
    if keyword == "const":
        return choice_words([rule])[0]
    if keyword in _BOUNDS:
        return _BOUNDS[keyword].format(rule if isinstance(rule, str) else json.dumps(rule))
    return ""


def one_of(choices: Sequence[object]) -> str:
    """Return choices as a list in words, without its end where it is long."""
    shown = ", ".join(choice_words(choices[:_CHOICES]))
    more = f", and {len(choices) - _CHOICES} more" if len(choices) > _CHOICES else ""
    return f"one of: {shown}{more}"


_NO_PLAIN_TEXT = re.compile(r"null|true|false|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def choice_words(choices: Sequence[object]) -> list[str]:
    """Return choices as they are, or all as JSON where one is no text or looks like none.

    1206 and "1206" are two choices, and bare they would read alike.
    """
    if all(isinstance(each, str) and not _NO_PLAIN_TEXT.fullmatch(each) for each in choices):
        return list(map(str, choices))
    return [json.dumps(choice, ensure_ascii=False) for choice in choices]
