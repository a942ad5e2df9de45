"""What a repair changed: field by field, before and after, counted over any number of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue

from prompt_hub.batch.output_lines import Line
from prompt_hub.batch.output_summary import kind_of
from prompt_hub.core.hashing import canonical
from prompt_hub.core.json_log import json_line
from prompt_hub.repository.schema import JsonObject

MOST_PAIRS = 5_000
"""Different pairs of values that are counted of one field: free text has as many as records."""
PAIR_CHARACTERS = 200
"""Of a value, by which pairs are told apart."""
MOST_SHOWN = 2_000
"""Changed records that are kept whole, for a page."""
SHOWN_OF_A_PAIR = 20
"""So many records of a rare pair are kept, however many others there are."""

Pair = tuple[str | None, str | None]
"""The value before and after as JSON, None where there was none."""


@dataclass(frozen=True)
class Change:
    """One field of one record that came out otherwise."""

    field: str | None
    """A field of the output; None for the error of the whole record."""
    sides: JsonObject
    """`before` and `after`; one is missing where the field was not there."""

    @property
    def pair(self) -> Pair:
        """Both sides as short texts; an error without what is particular to its record."""
        return self._text("before"), self._text("after")

    def to_line(self, record: int) -> JsonObject:
        """Return the change as a line of `changes.jsonl`."""
        return {"record": record, "field": self.field, **self.sides}

    def _text(self, side: str) -> str | None:
        if side not in self.sides:
            return None
        value = self.sides[side]
        if self.field is None:
            return kind_of(str(value))
        return json_line(value).decode("utf-8").rstrip("\n")[:PAIR_CHARACTERS]


@dataclass(frozen=True)
class ChangedRecord:
    """One record that came out otherwise."""

    record: int
    input: JsonValue
    changes: tuple[Change, ...]


@dataclass
class FieldTally:
    """How often one field changed, and from what to what."""

    changed: int = 0
    pairs: Counter[Pair] = field(default_factory=Counter)
    others: int = 0
    """Changes that are of none of the pairs, for there are more than can be counted apart."""

    def add(self, pair: Pair) -> int:
        """Count a change; returns how often this pair was seen, 0 if it is not counted apart."""
        self.changed += 1
        if pair not in self.pairs and len(self.pairs) >= MOST_PAIRS:
            self.others += 1
            return 0
        self.pairs[pair] += 1
        return self.pairs[pair]


@dataclass
class ChangeTally:
    """What changed in one run; memory is bounded whatever its size."""

    records: int = 0
    """Records that were made again."""
    changed: int = 0
    """Of these, how many came out otherwise."""
    mended: int = 0
    """Had an error and have an output now."""
    lost: int = 0
    """Had an output and have an error now."""
    failed: int = 0
    """Have an error now, whatever they had."""
    fields: dict[str | None, FieldTally] = field(default_factory=dict)
    shown: list[ChangedRecord] = field(default_factory=list)
    """Changed records in the order of the file: the first ones, and some of each rare pair."""

    def add(self, before: Line, after: Line) -> list[Change]:
        """Compare the two lines of one record, and count what differs."""
        self.records += 1
        self.failed += after["error"] is not None
        changes = list(changes_between(before, after))
        if not changes:
            return changes
        self.changed += 1
        self.mended += before["output"] is None and after["output"] is not None
        self.lost += before["output"] is not None and after["output"] is None
        rarest = MOST_SHOWN
        for change in changes:
            seen = self.fields.setdefault(change.field, FieldTally()).add(change.pair)
            rarest = min(rarest, seen or rarest)
        room = MOST_SHOWN if rarest <= SHOWN_OF_A_PAIR else MOST_SHOWN // 2
        if len(self.shown) < room:
            number = after["record"]
            assert isinstance(number, int)
            self.shown.append(ChangedRecord(number, after["input"], tuple(changes)))
        return changes


def changes_between(before: Line, after: Line) -> Iterator[Change]:
    """Yield what differs between two lines of the same record: its error, then each field."""
    for _, sides in _differences(_error(before), _error(after)):
        yield Change(None, sides)
    for name, sides in _differences(_output(before), _output(after)):
        yield Change(name, sides)


def _error(line: Line) -> JsonObject:
    return {} if line["error"] is None else {"error": line["error"]}


def _output(line: Line) -> JsonObject:
    output = line["output"]
    return output if isinstance(output, dict) else {}


def _differences(old: JsonObject, new: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for name in {**old, **new}:
        if name not in old or name not in new or canonical(old[name]) != canonical(new[name]):
            sides = (("before", old), ("after", new))
            yield name, {side: values[name] for side, values in sides if name in values}
