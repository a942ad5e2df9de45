"""The seed of what draws without hypothesis."""

from __future__ import annotations

from typing import Protocol


class DrawSeed(Protocol):
    """Answers the seed of `--hypothesis-seed`, or where none is given the test's own."""

    def __call__(self, usual: int) -> int: ...
