"""What a person must look over after an import: nothing is dropped in silence."""

from __future__ import annotations

from dataclasses import dataclass, field

from prompt_hub.core.foreign_text import escaped

Place = tuple[str, int]
"""A file and a line in it, from 1."""


@dataclass(frozen=True)
class Note:
    """Something that was not carried over (`lost`), or in another form than it had."""

    place: Place
    what: str
    why: str
    lost: bool
    more: int = 0

    def __str__(self) -> str:
        file, line = self.place
        more = f" (and {self.more} more like it)" if self.more else ""
        return escaped(f"{file}:{line}: {self.what}{more}: {self.why}")


@dataclass
class Notes:
    """Collects notes; the same thing said of many places is said once, with their number."""

    _first: dict[tuple[str, str, bool], Place] = field(default_factory=dict)
    _count: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    def lost(self, place: Place, what: str, why: str) -> None:
        """Note something that has no place here."""
        self._add(place, what, why, True)

    def changed(self, place: Place, what: str, why: str) -> None:
        """Note something that means the same, or nearly so, in another form."""
        self._add(place, what, why, False)

    def _add(self, place: Place, what: str, why: str, lost: bool) -> None:
        key = (what, why, lost)
        self._first.setdefault(key, place)
        self._count[key] = self._count.get(key, 0) + 1

    def all(self) -> tuple[Note, ...]:
        """Every note, those that were lost first, in the order of files and lines."""
        found = [
            Note(place, what, why, lost, self._count[what, why, lost] - 1)
            for (what, why, lost), place in self._first.items()
        ]
        return tuple(sorted(found, key=lambda note: (not note.lost, note.place)))
