"""What a validator says about a value, in words that fit a line: the reason whole, the value short.

`jsonschema_rs` puts the value first and quotes all of it. Of a long value the reason would be
beyond the end of any line, so the two change places and the value loses its end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
