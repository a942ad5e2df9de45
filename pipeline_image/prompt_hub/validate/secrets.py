"""Well-known shapes of keys, found in files and kept out of every message."""

from __future__ import annotations

import re
from collections.abc import Iterator

SHAPES: dict[str, re.Pattern[str]] = {
    "an AWS access key id": re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    "an API key (sk-...)": re.compile(r"(?<![A-Za-z0-9-])sk-[A-Za-z0-9_-]{20,}"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "a GitHub token": re.compile(
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"
    ),
}


def find(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield `(line, column, what it looks like)` of everything in `text` that looks like a key."""
    for name, shape in SHAPES.items():
        for match in shape.finditer(text):
            before = text[: match.start()]
            yield before.count("\n") + 1, match.start() - before.rfind("\n"), name


def redacted(text: str) -> str:
    """`text` with everything that looks like a key replaced by what it looks like."""
    for name, shape in SHAPES.items():
        text = shape.sub(f"[{name}]", text)
    return text
