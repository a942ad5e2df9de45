"""How alike two texts are: the adapter to `rapidfuzz`."""

from __future__ import annotations


def similarity(text: str, other: str) -> float:
    """One minus the Levenshtein distance over the longer length; 1 only for equal texts."""
    from rapidfuzz.distance import Levenshtein

    longest = max(len(text), len(other))
    # Rounded once: one minus a float would miss 0.1 for nine edits in ten letters.
    return (longest - Levenshtein.distance(text, other)) / longest if longest else 1.0
