"""Weights summed up by what is expected, of which a set may have a million different values."""

from __future__ import annotations

from collections.abc import Hashable

from prompt_hub.core.slots import Slots

MANY = 10_000
"""So many different values are kept as they are; of later ones only 64 bits."""


class Tally:
    """Sums of weights by value; of a value that was never added it is 0.

    Two of a million values have the same 64 bits once in some thirty million sets; a guess of one
    of them would then seem worth the other one's examples, too.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._first: dict[Hashable, float] = {}
        self._later = Slots()

    def add(self, value: Hashable, weight: float) -> None:
        """Add the weight, above 0, of an example that expects `value`."""
        known = self._first.get(value)
        if known is not None or len(self._first) < MANY:
            self._first[value] = (known or 0.0) + weight
            return
        self._later[_bits(value)] += weight

    def __getitem__(self, value: Hashable) -> float:
        known = self._first.get(value)
        if known is not None:
            return known
        return self._later[_bits(value)]


def _bits(value: Hashable) -> int:
    """Return a value's hash; Python's own ends in zeros for floats, and is one for -1 and -2."""
    if isinstance(value, tuple | frozenset):
        return hash(type(value)(map(_bits, value)))
    return hash((value, value == -1))
