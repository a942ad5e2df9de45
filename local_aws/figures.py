"""A score and its threshold as people read them."""

from __future__ import annotations


def side_by_side(score: float, threshold: float) -> tuple[str, str]:
    """Return both in three digits, or in as many as it takes to tell them apart.

    The product has the same rule for any number of scores; nothing of it is imported here.
    """
    for places in range(3, 16):
        shown = f"{score:.{places}f}", f"{threshold:.{places}f}"
        if score == threshold or shown[0] != shown[1]:
            return shown
    return f"{score:.3f}", f"{threshold:.3f}"
