"""Breaks of what a contract says and nobody holds anything to."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.building import RepositoryFolder
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

OUTPUT = "    part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}"
ONLY = "; expected answers that break it: only the check of each answer refuses those"


def with_output(part: str) -> Callable[[RepositoryFolder], None]:
    """One more property of the answer."""
    return restamped(edit(CANDIDATE, OUTPUT, f"{OUTPUT}\n    more: {part}"))


CASES += [
    Case(
        "schema-provider",
        with_output("{type: array, items: {type: string}, uniqueItems: true}"),
        CANDIDATE,
        "output.properties.more.uniqueItems: found the keyword 'uniqueItems', which openai and"
        f" openai-compatible refuse (left out, and told in the description){ONLY}",
        at=(22, 48),
    ),
    Case(
        "schema-provider",
        with_output("{type: string, pattern: '^\\d+$'}"),
        CANDIDATE,
        f"more.pattern: found the keyword 'pattern', which openai-compatible ignores{ONLY}",
    ),
    Case(
        "schema-provider",
        with_output("{type: string, format: uri}"),
        CANDIDATE,
        "more.format: found the keyword 'format', which openai and openai-compatible refuse",
    ),
    Case(
        "schema-provider",
        with_output("{type: string, format: email}"),
        CANDIDATE,
        "more.format: found the keyword 'format', which openai-compatible ignores",
    ),
    Case(
        "schema-provider",
        with_output("true"),
        CANDIDATE,
        "output.properties.more: found the keyword 'true', which openai and openai-compatible"
        " refuse (the whole schema is sent with strict: false)",
    ),
    Case(
        "schema-provider",
        with_output("{type: object}"),
        CANDIDATE,
        "output: found an object of any properties, which openai and openai-compatible refuse",
    ),
]

FINE = [
    Fine("schema-provider", with_output("{type: string, minLength: 1, pattern: '^[A-Z]+$'}")),
    Fine("schema-provider", with_output("{type: [string, 'null'], default: x, x-note: mine}")),
    Fine(
        "schema-provider",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {not: {type: number}}")),
    ),
    Fine(
        "schema-format",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {type: string, examples: [format]}")
        ),
    ),
]
