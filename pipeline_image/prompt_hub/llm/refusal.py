"""What a provider says when it refuses a call, made fit to be shown to people.

A provider's own words help the author of a prompt. They may also quote the request and name keys,
so both are taken out and the rest is cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from pydantic import JsonValue

from prompt_hub.core.foreign_text import one_line, shortened

MAX_CHARACTERS = 300
"""Longest message that is shown."""
MAX_NAME_CHARACTERS = 60
"""Longest error type or code that is shown."""
QUOTE_CHARACTERS = 24
"""A run of so many characters that stands in the request is a quote of it."""
FILTERS = frozenset(
    {
        "content_filter",  # Azure OpenAI
        "content_policy_violation",  # OpenAI
        "data_inspection_failed",  # Alibaba Cloud
    }
)
"""Types and codes of errors that mean: a content filter does not let the question through."""
_STATUS = re.compile("[45][0-9]{2}")
_BROKEN = 500
_READ_CHARACTERS = 2000
"""So much of a message is looked at; the rest would be cut anyway."""
_SHORTEST_SECRET = 6
_SHORTEST_NUMBER = 3
_REMOVED = "…"

_SECRETS = re.compile(
    r"""
      (?i:\bBearer\s+)\S+
    | \b(?:sk|rk|pk|gsk|xai)[-_][\w*.-]{6,}      # keys of OpenAI and of those who copy its form
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}               # ids of AWS access keys
    | \b(?=[A-Za-z+/=]*\d)[A-Za-z0-9+/=]{28,}    # anything long and random, such as Azure's keys
    | (?<=:)\d{12}(?=:)                          # the account in an ARN
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An answer that is no completion."""

    status: int
    """HTTP status."""
    type: str = ""
    """The provider's class of error, such as `invalid_request_error`."""
    code: str = ""
    """The provider's name of this very error, such as `context_length_exceeded`."""
    message: str = ""
    """The provider's own words, as they came."""

    @property
    def filtered(self) -> bool:
        """Whether a content filter has decided, so that the same question always ends so."""
        return not FILTERS.isdisjoint({self.type, self.code})

    @property
    def too_large(self) -> bool:
        """Whether the request alone is more than a minute's limit, so that no waiting helps.

        OpenAI says so with HTTP 429, as it does of requests that would do in a minute.
        """
        return self.code == "rate_limit_exceeded" and self.message.startswith("Request too large")

    @property
    def own_status(self) -> int:
        """The HTTP status that the error itself names, one of a broken provider if it names none.

        Those who pass questions on answer with 200 and tell here what they were answered.
        """
        return int(self.code) if _STATUS.fullmatch(self.code) else _BROKEN

    def in_words(self, request: Iterable[str], secrets: Iterable[str] = ()) -> str:
        """Say why, without what must not be shown.

        Args:
            request: the texts that were sent; long quotes of them are taken out.
            secrets: keys that are known to be in use; they are taken out wherever they stand.
        """
        secrets = tuple(secrets)
        names = dict.fromkeys(
            shortened(redact(name, (), secrets), MAX_NAME_CHARACTERS)
            for name in (self.type, self.code)
            if name
        )
        message = redact(self.message, request, secrets).rstrip(" .")
        message = shortened(message, MAX_CHARACTERS)
        named = ", ".join(names)
        if not message:
            return named
        return f"{message} ({named})" if named else message


def read_refusal(status: int, body: bytes) -> Refusal:
    """Read the body of a refusal in any of the forms that OpenAI-compatible endpoints send.

    A body that is not understood gives a refusal without words.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        # A page of HTML comes from something in between, and says nothing that a person reads.
        return Refusal(status=status, message="" if text.startswith("<") else text)
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return Refusal(status=status)
    error = data.get("error", data)
    if isinstance(error, str):
        return Refusal(status=status, message=error)
    if not isinstance(error, dict):
        return Refusal(status=status)
    return Refusal(
        status=status,
        type=_name(error, status, "type", "__type"),
        code=_name(error, status, "code"),
        message=_message(error),
    )


def redact(text: str, request: Iterable[str], secrets: Iterable[str] = ()) -> str:
    """Take keys, account numbers and long quotes of `request` out of a text; make it one line."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _REMOVED)
    text = one_line(text[:_READ_CHARACTERS])
    return _SECRETS.sub(_REMOVED, _without_quotes(text, tuple(_spellings(request))))


def without_values(text: str, fields: Mapping[str, JsonValue]) -> str:
    """Take every value of a record out of a text, however short: what a log may hold."""
    # The longest first, so that no part of one is left behind by another.
    for value in sorted(set(_texts_in(list(fields.values()))), key=len, reverse=True):
        text = text.replace(value, _REMOVED)
    return text


def _texts_in(value: JsonValue) -> Iterator[str]:
    """Yield every text in a value, and its numbers as they are written."""
    match value:
        case dict():
            yield from _texts_in(list(value.values()))
        case list():
            for entry in value:
                yield from _texts_in(entry)
        case str():
            if len(line := one_line(value)) > 1:
                yield line
        case bool() | None:
            return
        case int() | float():
            if len(number := json.dumps(value)) >= _SHORTEST_NUMBER:
                yield number
        case _:
            assert_never(value)


def _without_quotes(text: str, sources: tuple[str, ...]) -> str:
    kept: list[str] = []
    start = 0
    while start < len(text):
        end = start + QUOTE_CHARACTERS
        quoted = [source for source in sources if text[start:end] in source]
        if end > len(text) or not quoted:
            kept.append(text[start])
            start += 1
            continue
        while end < len(text) and any(text[start : end + 1] in source for source in quoted):
            end += 1
        kept.append(_REMOVED)
        start = end
    return "".join(kept)


def _spellings(request: Iterable[str]) -> Iterator[str]:
    """Each text of a request as it is, and as it stands inside JSON."""
    for text in request:
        spellings = (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        yield from dict.fromkeys(map(one_line, spellings))


def _name(error: Mapping[str, object], status: int, *keys: str) -> str:
    for key in keys:
        value = error.get(key)
        if isinstance(value, str | int) and str(value) != str(status):
            return str(value)
    return ""


def _message(error: Mapping[str, object]) -> str:
    for key in ("message", "Message", "msg", "detail"):
        value = error.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return _message(value[0])
    return ""
