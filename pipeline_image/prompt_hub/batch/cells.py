"""What a cell says: white space around it says nothing, and one that has nothing else is empty."""

from __future__ import annotations

import re

from pydantic import JsonValue

_AROUND = r"[\s\u200b\u2060\ufeff]+"
"""White space, no-break spaces too, and the invisible ones that spreadsheets leave."""
_EDGES = re.compile(rf"\A{_AROUND}|{_AROUND}\Z")


def trimmed(value: JsonValue) -> JsonValue:
    """Return text without the white space around it, and anything else as it is."""
    return _EDGES.sub("", value) if isinstance(value, str) else value


def is_blank(value: JsonValue) -> bool:
    """Whether this is null, or text of nothing but white space."""
    return value is None or trimmed(value) == ""
