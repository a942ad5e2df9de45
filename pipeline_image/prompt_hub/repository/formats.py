"""The names that `format` may have in a schema, and which of them anything is held to."""

from __future__ import annotations

ASSERTED = frozenset(
    {
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "time",
        "uri",
        "uuid",
    }
)
"""Formats that some provider of models holds its answers to: here a value that breaks one breaks
its contract, too. OpenAI's list, and `uri` from Bedrock's."""

NOT_ASSERTED = frozenset(
    {
        "idn-email",
        "idn-hostname",
        "iri",
        "iri-reference",
        "json-pointer",
        "regex",
        "relative-json-pointer",
        "uri-reference",
        "uri-template",
    }
)
"""The other formats of JSON Schema. No provider holds an answer to them, so they say nothing here
either: a contract must not be stricter in one place than in another."""
