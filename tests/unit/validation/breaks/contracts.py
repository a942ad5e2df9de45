"""Breaks of what a contract says and nobody holds anything to."""

from __future__ import annotations

from tests.unit.validation.breaking import CANDIDATE, Case, Fine, edit, restamped

CASES = [
    Case(
        "schema-format",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {type: string, format: e-mail}")
        ),
        CANDIDATE,
        "input.properties.title.format: found the format 'e-mail', which is unknown"
        " (did you mean 'email'?); expected one of: date, date-time,",
        at=(14, 35),
    ),
    Case(
        "schema-format",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {type: string, format: uri-reference}")
        ),
        CANDIDATE,
        "found the format 'uri-reference', which nothing asserts; expected",
    ),
]

FINE = [
    Fine(
        "schema-format",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {type: string, examples: [format]}")
        ),
    ),
]
