"""Fields of an output, each compared in its own way: matched, given and wanted values a field."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, assert_never

from pydantic import JsonValue

from prompt_hub.core.exact import weighted_mean
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring.base import NO_OUTPUT, Counts, GuessWorth, PureScorer, ScorerResult
from prompt_hub.scoring.comparison import (
    Canonical,
    Compare,
    Comparison,
    by_equality,
    comparing,
    difference,
    identity,
    shown_apart,
    unread,
)
from prompt_hub.scoring.tally import Tally
from prompt_hub.scoring.text_forms import Case

Lists = Literal["ordered", "set"]
CACHE_ENTRIES = 1024
"""Lists have many counts; more kinds of right answers than these are not worth keeping."""


def at(value: JsonValue, path: Sequence[str]) -> JsonValue:
    """Return the value at `path`, None where there is none.

    Through a list the path leads to all of its elements: `contacts.name` is the list of names.
    """
    if len(path) == 1 and type(value) is dict:
        return value.get(path[0])  # as nearly all are
    for index, step in enumerate(path):
        if isinstance(value, list):
            found = (at(item, path[index:]) for item in value)
            return [
                entry
                for item in found
                for entry in (item if isinstance(item, list) else [item])
                if entry is not None
            ]
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def leaves(value: JsonObject, prefix: str = "") -> Iterator[str]:
    """Paths of every value in an object that is no object itself, nor nothing."""
    for name, item in value.items():
        if isinstance(item, dict):
            yield from leaves(item, f"{prefix}{name}.")
        elif item is not None and item != []:
            yield f"{prefix}{name}"


@dataclass(frozen=True)
class Field:
    """One field and how it is compared; built by `of`."""

    name: str
    path: tuple[str, ...]
    lists: Lists
    how: Comparison
    compare: Compare = field(compare=False)
    canonical: Canonical = field(compare=False)
    equality: bool = False
    tolerance: str = ""

    @classmethod
    def of(cls, name: str, how: Comparison, lists: Lists = "ordered") -> Field:
        """Return the field `name`, compared as `how` says."""
        return cls(
            name=name,
            path=tuple(name.split(".")),
            lists=lists,
            how=how,
            compare=comparing(how),
            canonical=how.canonical,
            equality=by_equality(how),
            tolerance=_tolerance(how),
        )

    def values(self, output: JsonObject, expected: JsonObject) -> tuple[JsonValue, JsonValue]:
        """Return what was given and what was wanted here."""
        return at(output, self.path), at(expected, self.path)

    def counts(self, given: JsonValue, wanted: JsonValue) -> Counts:
        """Return matched, given and wanted values.

        A null, an empty list, a field left out are nothing.
        """
        if not isinstance(given, list) and not isinstance(wanted, list):
            both = given is not None and wanted is not None
            matched = self.compare(given, wanted) if both else 0.0
            return matched, int(given is not None), int(wanted is not None)
        given, wanted = _elements(given), _elements(wanted)
        match self.lists:
            case "ordered":
                return float(_in_order(given, wanted, self.compare)), len(given), len(wanted)
            case "set":
                return self._distinct_counts(given, wanted)
            case _:
                assert_never(self.lists)

    def _distinct_counts(self, given: list[JsonValue], wanted: list[JsonValue]) -> Counts:
        if self.equality:
            ours, theirs = self._identities(given), self._identities(wanted)
            return float(len(ours & theirs)), len(ours), len(theirs)
        given, wanted = self._distinct(given), self._distinct(wanted)
        return float(len(self._pairs(given, wanted))), len(given), len(wanted)

    def loss(self, given: JsonValue, wanted: JsonValue, matched: float) -> str:
        """In words, what keeps this field from being right."""
        if self.lists == "set" and (isinstance(given, list) or isinstance(wanted, list)):
            given, wanted = self._distinct(_elements(given)), self._distinct(_elements(wanted))
            pairs = self._pairs(given, wanted)
            missing = [item for i, item in enumerate(wanted) if i not in pairs]
            extra = [value for i, value in enumerate(given) if i not in pairs.values()]
            lacking, beyond = shown_apart(missing, extra)
            lines = [f"missing {lacking}"] if missing else []
            lines += [f"not expected {beyond}"] if extra else []
            return f"{self.name}: {', '.join(lines)}"
        lines = [f"{self.name}: {difference(wanted, given, self.tolerance)}"]
        if isinstance(given, str) and matched:
            lines.append(f"(similarity {matched:.2f})")
        elif reason := unread(self.how, given):
            lines.append(f"(which is no quantity: {reason})")
        return " ".join(lines)

    def _identities(self, values: list[JsonValue]) -> set[Hashable]:
        return {identity(value, self.canonical) for value in values}

    def _distinct(self, values: list[JsonValue]) -> list[JsonValue]:
        unique = {identity(value, self.canonical): value for value in reversed(values)}
        return list(reversed(unique.values()))

    def _pairs(self, given: list[JsonValue], wanted: list[JsonValue]) -> Mapping[int, int]:
        return _matching(
            [
                [index for index, value in enumerate(given) if self.compare(value, other) > 0]
                for other in wanted
            ]
        )


def f1(counts: Counts) -> float:
    """F1 of one field; 1 where nothing was wanted and nothing given."""
    matched, given, wanted = counts
    return 2 * matched / (given + wanted) if given + wanted else 1.0


def _elements(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, list):
        return [item for item in value if item is not None]
    return [] if value is None else [value]


def _tolerance(how: Comparison) -> str:
    lines = [f"{how.tolerance:g}"] if how.tolerance else []
    lines += [f"{100 * how.relative_tolerance:g}%"] if how.relative_tolerance else []
    return f" ± {' or '.join(lines)}" if lines else ""


def _matching(edges: Sequence[Sequence[int]]) -> Mapping[int, int]:
    """Return a largest matching by augmenting paths: what each wanted element was found as.

    `edges` holds for each wanted element the given ones that would do for it.
    """
    found: dict[int, int] = {}
    owner: dict[int, int] = {}
    for start in range(len(edges)):
        reached_from: dict[int, int] = {}
        queue = [start]
        free: int | None = None
        while queue and free is None:
            wanted = queue.pop()
            for given in edges[wanted]:
                if given not in reached_from:
                    reached_from[given] = wanted
                    if given not in owner:
                        free = given
                        break
                    queue.append(owner[given])
        while free is not None:
            wanted = reached_from[free]
            before = found.get(wanted)
            found[wanted], owner[free] = free, wanted
            free = before
    return found


def _in_order(given: Sequence[JsonValue], wanted: Sequence[JsonValue], compare: Compare) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(wanted) + 1)
    for value in given:
        diagonal = 0
        for index, other in enumerate(wanted, start=1):
            above = row[index]
            same = compare(value, other) > 0
            row[index] = diagonal + 1 if same else max(above, row[index - 1])
            diagonal = above
    return row[-1]


@lru_cache(maxsize=1024)
def unnamed(name: str, case: Case = "fold") -> Field:
    """Return a field that nobody has named, compared by the defaults."""
    return Field.of(name, Comparison(case=case))


@dataclass(frozen=True)
class FieldsScorer(PureScorer):
    """Weighted mean of the F1 of fields; of every field of output and example if none is named."""

    fields: Mapping[Field, float]
    case: Case = "fold"
    """Whether case matters in texts of fields that nobody has named."""
    partial: bool = False
    """Whether only fields that the example expects are looked at."""
    _whole: dict[Hashable, ScorerResult] = field(default_factory=dict, repr=False, compare=False)
    """Parts without a loss, by their counts: of thousands of right answers one is kept."""

    @classmethod
    def of_one(
        cls, kind: str, weight: float, field: str, how: Comparison, lists: Lists = "ordered"
    ) -> FieldsScorer:
        """Return a scorer of a single field."""
        return cls(f"{kind}:{field}", weight, {Field.of(field, how, lists): 1.0})

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        given = output or {}
        weights = self.fields
        if not weights:
            names = (*leaves(example.expected), *leaves(given))
            weights = {unnamed(name, self.case): 1.0 for name in dict.fromkeys(names)}
        if self.partial:
            weights = _expected_ones(weights, example)
        counted: dict[str, Counts] = {}
        earned: list[tuple[float, float]] = []
        lost: list[str] = []
        for item, weight in weights.items():
            got, wanted = item.values(given, example.expected)
            counts = counted[item.name] = item.counts(got, wanted)
            worth = f1(counts)
            earned.append((worth, weight))
            if worth < 1:
                lost.append(item.loss(got, wanted, counts[0]))
        if output is None:
            return ScorerResult(self.name, 0.0, self.weight, NO_OUTPUT, counted)
        score = float(weighted_mean(earned)) if lost else 1.0
        part = ScorerResult(self.name, score, self.weight, "; ".join(lost), counted)
        if lost or len(self._whole) >= CACHE_ENTRIES:
            return part
        return self._whole.setdefault(tuple(counted.items()), part)

    def guess_worth(self, examples: Sequence[Example]) -> GuessWorth:
        """Count the values of each field, where every example has the same fields."""
        fields = {} if self.partial else self._same_fields(examples)
        if not fields:
            return super().guess_worth(examples)
        whole = sum(fields.values())
        worths = _field_worths(fields, examples)
        parts = [
            (self.weight * share / whole, worth)
            for share, worth in zip(fields.values(), worths, strict=True)
        ]
        return GuessWorth(
            lambda guess: sum(share * part.worth(guess) for share, part in parts),
            graded=any(part.graded for _, part in parts),
        )

    def _same_fields(self, examples: Sequence[Example]) -> Mapping[Field, float]:
        """Return the fields that are looked at in every example, none where they differ."""
        if self.fields:
            return self.fields
        found = {frozenset(leaves(example.expected)) for example in examples}
        return {unnamed(name, self.case): 1.0 for name in found.pop()} if len(found) == 1 else {}


def _expected_ones(weights: Mapping[Field, float], example: Example) -> Mapping[Field, float]:
    return {
        field: weight for field, weight in weights.items() if _states(example.expected, field.path)
    }


def _states(value: JsonValue, path: Sequence[str]) -> bool:
    """Whether a right answer says what is at `path`; an empty list says that nothing is."""
    if not path:
        return value is not None
    if isinstance(value, list):
        return not value or any(_states(item, path) for item in value)
    return isinstance(value, dict) and _states(value.get(path[0]), path[1:])


def _field_worths(fields: Iterable[Field], examples: Sequence[Example]) -> list[GuessWorth]:
    """Return what guesses of each field are worth, from one look at the examples."""
    tallies = [(each, Tally()) for each in fields]
    lists = set[Field]()
    for example in examples:
        for each, tally in tallies:
            value = at(example.expected, each.path)
            tally.add(identity(value, each.canonical), example.weight)
            if isinstance(value, list):
                lists.add(each)
    return [
        _equality_worth(each, tally)
        if each.equality and each not in lists
        else _graded_worth(each, tally, examples)
        for each, tally in tallies
    ]


def _equality_worth(field: Field, tally: Tally) -> GuessWorth:
    return GuessWorth(
        lambda guess: tally[identity(at(guess, field.path), field.canonical)],
        graded=False,
    )


def _graded_worth(field: Field, tally: Tally, examples: Sequence[Example]) -> GuessWorth:
    values = (at(example.expected, field.path) for example in examples)
    wanted = {identity(value, field.canonical): value for value in values}

    def worth(guess: JsonObject) -> float:
        given = at(guess, field.path)
        return sum(f1(field.counts(given, value)) * tally[key] for key, value in wanted.items())

    return GuessWorth(worth, graded=True)
