"""The rows that every runner of the batch benchmark asks about: standard library alone.

Peers import this in environments of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.eval import task


def rows(table: Iterator[list[str]]) -> Iterator[list[str]]:
    """Title and manufacturer of each row behind the header."""
    next(table)
    return table


def request_of(row: Sequence[str]) -> dict[str, object]:
    """The body that asks about a row: the same as the product's own."""
    title, manufacturer = row
    user = f"Title: {title}\nManufacturer: {manufacturer}"
    return {
        "model": task.MODEL,
        "messages": [
            {"role": "system", "content": task.SYSTEM},
            {"role": "user", "content": user},
        ],
        "response_format": task.RESPONSE_FORMAT,
        **task.PARAMETERS,
    }


def expected(number: int) -> dict[str, str]:
    """What is right for a row, by its number from 0."""
    return task.Item(number).expected
