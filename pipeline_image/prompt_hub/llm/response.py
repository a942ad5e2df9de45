"""What comes back from a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What a provider sent back."""

    text: str
    answered_by: str
    tokens_in: int
    tokens_out: int
    truncated: bool


def repair_surrogates(text: str) -> str:
    """Replace each half of a character: JSON can hold one, but no file could."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
