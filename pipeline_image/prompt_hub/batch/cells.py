"""What a cell says: white space around it says nothing, and one that has nothing else is empty."""

from __future__ import annotations

from pydantic import JsonValue

_INVISIBLE = "\u200b\u2060\ufeff"
"""What spreadsheets leave around a cell and Unicode does not call white space."""
_AROUND = _INVISIBLE + "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All white space of Unicode, the last of which is the ideographic space."""


def trimmed(value: JsonValue) -> JsonValue:
    """Return text without the white space around it, and anything else as it is."""
    return value.strip(_AROUND) if isinstance(value, str) else value


def is_blank(value: JsonValue) -> bool:
    """Whether this is null, or text of nothing but white space."""
    return value is None or trimmed(value) == ""
