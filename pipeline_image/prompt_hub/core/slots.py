"""A table from 64-bit keys to numbers, in arrays: 17 bytes a key, however many there are.

A dict takes 100 and more, beside the objects in it. Nothing is removed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left


class Slots:
    """Numbers other than 0, whole ones below 2**53 among them, by the last 64 bits of a key.

    Two keys that end alike are one: who cannot live with that compares what it finds. The last bits
    of keys must be as good as drawn, such as those of a hash; Python's of a number are not.
    """

    def __init__(self) -> None:
        """Make an empty table."""
        # Sorted, in so many parts that room is made in a few kilobytes and not in all of them.
        self._keys = [array("Q") for _ in range(_PARTS)]
        self._values = [array("d") for _ in range(_PARTS)]

    def __len__(self) -> int:
        """Count the keys."""
        return sum(map(len, self._keys))

    def __getitem__(self, key: int) -> float:
        """Return the number of a key, 0 where it has none."""
        short = key & _BITS
        part = short % _PARTS
        keys = self._keys[part]
        place = bisect_left(keys, short)
        return self._values[part][place] if place < len(keys) and keys[place] == short else 0.0

    def __setitem__(self, key: int, value: float) -> None:
        """Say what the number of a key is; not 0."""
        short = key & _BITS
        part = short % _PARTS
        keys, values = self._keys[part], self._values[part]
        place = bisect_left(keys, short)
        if place < len(keys) and keys[place] == short:
            values[place] = value
        else:
            keys.insert(place, short)
            values.insert(place, value)


_PARTS = 256
_BITS = 2**64 - 1
