"""What the gate speaks of: evidence, statuses, differences, conclusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction as Rational
from typing import Literal, Protocol

from prompt_hub.core.exact import weighted_mean
from prompt_hub.repository.schema import Fraction, Strict


class GateExample(Protocol):
    """What an example is to the gate: an `Example` is one, and so are its facts alone."""

    @property
    def id(self) -> str:
        """Its name in the scores."""

    @property
    def weight(self) -> float:
        """How much it counts."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The slices that it belongs to."""


Scores = Mapping[str, tuple[float, ...]]
"""Scores by example id, one for each time the example was asked."""


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
    those that were, in the order in which they were asked (the champion's None before the first
    release). `sampled` says whether asking
    again can give another answer; cost and latency are the candidate's (None: unknown). `untimed`
    counts its answers of which nobody knows how long they took: those of batches.
    """

    examples: Sequence[GateExample]
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
        return len(self.candidate) == len(self.examples)

    @property
    def rounds(self) -> int:
        """How often every example was asked."""
        return min(map(len, self.candidate.values()), default=0)


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


def example_mean(scores: Scores, example: GateExample, rounds: int | None = None) -> float:
    """Return an example's mean over its first `rounds` repeats, over all by default."""
    counted = scores[example.id][:rounds]
    return counted[0] if len(counted) == 1 else float(weighted_mean((s, 1.0) for s in counted))


def mean_score(scores: Scores, examples: Sequence[GateExample]) -> Rational:
    """Weighted mean over examples, each one observation however often it was asked; exact."""
    return weighted_mean((example_mean(scores, example), example.weight) for example in examples)
