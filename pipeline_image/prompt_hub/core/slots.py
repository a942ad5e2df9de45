"""A hash table from 64-bit keys to numbers, in two arrays: 24 to 48 bytes a key.

A dict takes 100 and more, beside the objects in it. It has open addressing; nothing is removed.
"""

from __future__ import annotations

from array import array


class Slots:
    """Numbers other than 0, whole ones below 2**53 among them, by the last 64 bits of a key.

    Two keys that end alike are one: who cannot live with that compares what it finds. The last bits
    of keys must be as good as drawn, such as those of a hash; Python's of a number are not.
    """

    def __init__(self, room: int = 42) -> None:
        """Make an empty table, which grows where it gets more than `room` keys."""
        self._used = 0
        self._make(1 << (3 * room // 2).bit_length())

    def __len__(self) -> int:
        """Count the keys."""
        return self._used

    def __getitem__(self, key: int) -> float:
        """Return the number of a key, 0 where it has none."""
        return self._values[self._place(key & _BITS)]

    def __setitem__(self, key: int, value: float) -> None:
        """Say what the number of a key is; not 0."""
        if 3 * self._used >= 2 * len(self._keys):
            self._grow()
        short = key & _BITS
        place = self._place(short)
        if not self._values[place]:
            self._used += 1
            self._keys[place] = short
        self._values[place] = value

    def _place(self, short: int) -> int:
        """Return the place of a key, or the free one where it would be."""
        keys, values, last = self._keys, self._values, len(self._keys) - 1
        place = short & last
        while values[place] and keys[place] != short:
            place = (place + 1) & last
        return place

    def _make(self, size: int) -> None:
        self._keys, self._values = array("Q", [0]) * size, array("d", [0.0]) * size

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._make(2 * len(keys))
        for short, value in zip(keys, values, strict=True):
            if value:
                place = self._place(short)
                self._keys[place], self._values[place] = short, value


_BITS = 2**64 - 1
