"""How alike two texts are: the adapter to `rapidfuzz`."""

from __future__ import annotations


def similarity(text: str, other: str) -> float:
    """One minus the Levenshtein distance over the longer length; 1 only for equal texts."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(text, other)
