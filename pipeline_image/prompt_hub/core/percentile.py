"""The one definition of a percentile: the same on a record, on a page and in a limit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping


def percentile(values: Iterable[float] | Mapping[float, int], share: float) -> float | None:
    """Return the smallest of `values` that at least `share` of them do not exceed.

    This is the nearest rank, the inverse of the empirical distribution function: type 1 of R. J.
    Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
    (1996), and numpy's `inverted_cdf`. Records store it. It is always a value that was measured,
    so "95 of 100 calls took no longer" is true of these very calls.

    Args:
        values: numbers in any order, or how often each occurs.
        share: more than 0, at most 1; 0.95 for the 95th percentile.

    Returns:
        One of `values`, None where there are none.
    """
    # Equal values are kept once: a million latencies are some thousand different ones.
    counts = Counter(values)
    rank = math.ceil(share * counts.total())
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return None
