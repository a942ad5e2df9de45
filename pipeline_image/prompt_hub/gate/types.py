"""What the gate speaks of: evidence, statuses, differences, conclusions."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction as Rational
from math import isnan, nan
from typing import Literal, Protocol

from prompt_hub.core.exact import weighted_mean
from prompt_hub.repository.many_examples import ManyFacts
from prompt_hub.repository.schema import Fraction, Strict


class GateExample(Protocol):
    """What the gate wants of an example: an `Example` is one, and so are its facts alone."""

    @property
    def weight(self) -> float:
        """How much it counts."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The slices that it belongs to."""


@dataclass(frozen=True)
class GateSet:
    """What a set of examples is to the gate, in columns."""

    weights: Sequence[float]
    """How much each example counts, by its place in the set."""
    tagged: Mapping[str, Sequence[int]]
    """By tag, sorted: the places of the examples that carry it."""

    @classmethod
    def of(cls, examples: Sequence[GateExample]) -> GateSet:
        """Return what a set is."""
        weights: Sequence[float]
        if isinstance(examples, ManyFacts):
            weights = examples.weights
        else:
            weights = array("d", (example.weight for example in examples))
        tagged: dict[str, array[int]] = defaultdict(lambda: array("I"))
        for place, example in enumerate(examples):
            for tag in dict.fromkeys(example.tags):
                tagged[tag].append(place)
        return cls(weights, dict(sorted(tagged.items())))

    def __len__(self) -> int:
        return len(self.weights)


class Scores:
    """Scores of an arm by the place of an example in its set, one for each time that it was asked.

    They are kept in columns: a set may have a million examples, and the gate looks at all of them.
    """

    def __init__(self, size: int) -> None:
        """Make room for the scores of a set of `size` examples."""
        self.asked = array("I")
        """Places of the examples that have a score, in the order in which they were asked."""
        self._size = size
        self._columns: list[array[float]] = []
        """The first scores, the second ones…; NaN where there is none."""
        self._filled: list[int] = []
        """How many each column has."""

    def add(self, place: int, score: float) -> None:
        """Take the next score of the example at a place."""
        number = 0
        while number < len(self._columns) and not isnan(self._columns[number][place]):
            number += 1
        if number == len(self._columns):
            self._columns.append(array("d", [nan]) * self._size)
            self._filled.append(0)
        self._columns[number][place] = score
        self._filled[number] += 1
        if number == 0:
            self.asked.append(place)

    def __contains__(self, place: int) -> bool:
        return bool(self._columns) and not isnan(self._columns[0][place])

    @property
    def rounds(self) -> int:
        """How often every example was asked that has a score."""
        return self._filled.count(len(self.asked))

    def same_asked(self, other: Scores) -> bool:
        """Whether both are scores of the same examples, each asked as often as all others."""
        alike = self._filled == other._filled == [len(self.asked)] * len(self._filled)
        # Arms are asked side by side, so that the order tells mostly.
        return alike and (self.asked == other.asked or sorted(self.asked) == sorted(other.asked))

    def mean(self, place: int, rounds: int | None = None) -> float:
        """Return an example's mean over its first `rounds` repeats, over all by default."""
        columns = self._columns
        if rounds == 1 or len(columns) == 1:
            return columns[0][place]
        counted = [column[place] for column in columns[:rounds] if not isnan(column[place])]
        return counted[0] if len(counted) == 1 else float(weighted_mean((s, 1.0) for s in counted))


class Status(StrEnum):
    """What is decided about a candidate.

    `UNCHANGED` is said of a candidate that is the champion already: there is nothing to decide.
    """

    PASS = "PASS"  # noqa: S105
    BLOCK = "BLOCK"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_MEASURED = "NOT_MEASURED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is measured so far.

    `examples` is the whole set that may be scored, `candidate` and `champion` hold the scores of
    those that were (the champion's None before the first release). `sampled` says whether asking
    again can give another answer; cost and latency are the candidate's (None: unknown). `untimed`
    counts its answers of which nobody knows how long they took: those of batches.
    """

    examples: GateSet
    candidate: Scores
    champion: Scores | None = None
    sampled: bool = False
    usd_per_call: float | None = None
    seconds_p95: float | None = None
    untimed: int = 0
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every example was looked at."""
        return len(self.candidate.asked) == len(self.examples)

    @property
    def rounds(self) -> int:
        """How often every example was asked."""
        return self.candidate.rounds


class Difference(Strict):
    """Candidate minus champion, paired by example (or by the examples of one tag).

    Each of the bounds is wrong with one minus the gate's confidence; over all tags together.
    """

    n: int
    difference: float
    low: float
    high: float


class Power(Strict):
    """What `n` examples can show with probability 0.8.

    `detectable` is the least true drop that would be blocked; `needed` the number of examples with
    which a drop of `margin` would be ruled out where there is none. Drops are against the champion,
    or against the threshold where there is none. None: no drop, no number of examples would do.
    """

    n: int
    margin: Fraction
    detectable: float | None
    needed: int | None


@dataclass(frozen=True)
class Conclusion:
    """A verdict and the reasons for it, in words.

    `more` says what could still change it: unseen examples, or repeats of a sampled model. Only
    without it the verdict is final.
    """

    status: Status
    reasons: tuple[str, ...]
    comparison: Difference | None = None
    tags: Mapping[str, Difference] = field(default_factory=dict)
    more: Literal["examples", "repeats"] | None = None
    power: Power | None = None


def mean_score(scores: Scores, places: Iterable[int], weights: Sequence[float]) -> Rational:
    """Weighted mean over examples, each one observation however often it was asked; exact.

    Args:
        scores: of an arm.
        places: of the examples that count; each has a score.
        weights: of all examples, by place.
    """
    return weighted_mean((scores.mean(place), weights[place]) for place in places)
