"""Versions of prompts: as their files say them, and in order."""

from __future__ import annotations


def version_in(text: str) -> str:
    """Return the version that a prompt's or a task's YAML names."""
    line = next(line for line in text.splitlines() if line.startswith("version:"))
    return line.partition(":")[2].split("#")[0].strip(" \"'")


def order_of(version: str) -> tuple[int, ...]:
    """Return what puts versions in order: 1.10.0 is behind 1.9.0."""
    return tuple(map(int, version.split(".")))
