"""The lines of a run's output and of its journal: how they are read, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from prompt_hub.core.json_strict import ENVELOPE_DEPTH, strict_json
from prompt_hub.llm.response import Usage
from prompt_hub.repository.schema import JsonObject

Line = Mapping[str, JsonValue]
"""What became of one record, as one line of JSON."""


def parse_line(raw: bytes) -> object:
    """Read a line, which may nest one value deeper than a record may; raises `ValueError`."""
    return strict_json(raw.decode("utf-8"), max_depth=ENVELOPE_DEPTH)


def was_refused(line: Line) -> bool:
    """Whether no model was asked about the record of a line: it was unreadable, or did not fit."""
    return line.get("asked") is False


def usage_to_json(usage: Usage | None) -> JsonObject | None:
    """Return what stays the same when a call is made again: how long it took does not."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "usd": usage.usd,
    }


def usage_from_json(value: object) -> Usage | None:
    """Return what a line, or an answer of the service, says that its call took; None without it."""
    match value:
        case {"input_tokens": int(sent), "output_tokens": int(received), **rest}:
            usd = rest.get("usd")
            price = float(usd) if isinstance(usd, int | float) else None
            return Usage(input_tokens=sent, output_tokens=received, usd=price)
    return None
