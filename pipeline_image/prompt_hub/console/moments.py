"""Moments as the console's pages say them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: datetime | str) -> str:
    """Return a moment to the second, in UTC."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def ago(at: datetime | str) -> str:
    """Return how long ago a moment was, to what matters."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    minutes = int((datetime.now(UTC) - when).total_seconds() // 60)
    for unit, length in (("d", 1440), ("h", 60)):
        if minutes >= 2 * length:
            return f"{minutes // length} {unit} ago"
    return f"{minutes} min ago" if minutes > 0 else "just now"
