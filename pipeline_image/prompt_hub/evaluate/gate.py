"""The verdict: a pure function of what was measured and of the task's metadata (design D6).

It is asked after every look and says whether more must be measured. docs/gate.md has the method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from prompt_hub.evaluate.sequential import Sample, Stakes, shares
from prompt_hub.prompts.models import Example, Gate, Limits

if TYPE_CHECKING:
    from prompt_hub.evaluate.power import Power

GATE_VERSION = "1"
"""Moves whenever the gate may decide differently on the same measurements."""
LEAST_EXAMPLES_OF_A_TAG = 8
"""With fewer examples a collapse of their tag cannot be shown, whatever the scores."""

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
    those that were (the champion's None before the first release). `sampled` says whether asking
    again can give another answer; cost and latency are the candidate's (None: unknown).
    """

    examples: tuple[Example, ...]
    candidate: Scores
    champion: Scores | None = None
    sampled: bool = False
    usd_per_call: float | None = None
    seconds_p95: float | None = None
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every example was looked at."""
        return len(self.candidate) == len(self.examples)

    @property
    def rounds(self) -> int:
        """How often every example was asked."""
        return min(map(len, self.candidate.values()), default=0)


@dataclass(frozen=True)
class Comparison:
    """Candidate minus champion on the same examples, each bound wrong with the same chance."""

    n: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """A verdict and the reasons for it, in words.

    `more` says what could still change it: unseen examples, or repeats of a sampled model. Only
    without it the verdict is final.
    """

    status: Status
    reasons: tuple[str, ...]
    comparison: Comparison | None = None
    tags: Mapping[str, Comparison] = field(default_factory=dict)
    more: Literal["examples", "repeats"] | None = None
    power: Power | None = None


@dataclass(frozen=True)
class _Ruling:
    """What one rule says; INCONCLUSIVE where it waits for more."""

    status: Status
    words: str = ""


def decide(evidence: Evidence, *, threshold: float, gate: Gate, limits: Limits) -> Decision:
    """Decide about a candidate, or say what more must be measured.

    Before every example was looked at, a rule counts as decided only where the confidence
    sequence of its number is; at the end the score's rules are point rules. A look that blocks
    ends the evaluation, one that passes only if no rule is open.

    Args:
        evidence: what was measured so far.
        threshold: the least score that is good enough.
        gate: margins, confidence and possible repeats.
        limits: what a call may cost and how long it may take.
    """
    missing = _missing(evidence, gate)
    if missing:
        return Decision(Status.NOT_MEASURED, missing)
    rules = _Rules(evidence, gate)
    comparison, against_champion = rules.against_champion()
    tags, collapses = rules.collapses()
    rulings = [
        rules.score("score", evidence.examples, threshold),
        against_champion,
        *(
            rules.score(f"score of the tag {tag!r}", rules.tagged(tag), least)
            for tag, least in sorted(gate.tags.items())
        ),
        *collapses,
        *_limits(evidence, limits),
    ]
    decided = [ruling for ruling in rulings if ruling.status is not Status.INCONCLUSIVE]
    blocking = [ruling for ruling in decided if ruling.status is Status.BLOCK]
    more: Literal["examples", "repeats"] | None = None
    status = Status.BLOCK if blocking else Status.PASS
    if not blocking and len(decided) < len(rulings):
        status = Status.INCONCLUSIVE
        if not evidence.complete:
            more = "examples"
        elif evidence.rounds < rules.possible_rounds:
            more = "repeats"
    told = sorted(rulings, key=lambda ruling: _ORDER[ruling.status])
    reasons = tuple(ruling.words for ruling in told if ruling.words)
    return Decision(status, (*reasons, *rules.too_small(tags)), comparison, tags, more)


_ORDER = {Status.BLOCK: 0, Status.INCONCLUSIVE: 1, Status.PASS: 2}


def _missing(evidence: Evidence, gate: Gate) -> tuple[str, ...]:
    """Why nothing may be concluded, in words; empty where everything is there."""
    if evidence.missing:
        return tuple(dict.fromkeys(evidence.missing))
    if not evidence.examples or not evidence.candidate:
        return ("there are no examples to score",)
    carried = {tag for example in evidence.examples for tag in example.tags}
    found = [
        f"no example carries the tag {tag!r}, whose least score the gate states"
        for tag in sorted(gate.tags.keys() - carried)
    ]
    arms = [evidence.candidate, *([evidence.champion] if evidence.champion is not None else [])]
    counts = {len(scores) for arm in arms for scores in arm.values()}
    if any(arm.keys() != evidence.candidate.keys() for arm in arms) or len(counts) != 1:
        found.append("candidate and champion were not measured on the same examples")
    elif not evidence.candidate.keys() <= {example.id for example in evidence.examples}:
        found.append("scores are of examples that are not in the set")
    elif evidence.rounds == 0 or (evidence.rounds > 1 and not evidence.complete):
        found.append("examples were left out while others were asked again")
    return tuple(found)


def _limits(evidence: Evidence, limits: Limits) -> Iterable[_Ruling]:
    usd, seconds = evidence.usd_per_call, evidence.seconds_p95
    if usd is not None and usd > limits.usd_per_call:
        yield _Ruling(
            Status.BLOCK,
            f"a call costs {usd:.6g} US dollars on average, more than the {limits.usd_per_call:g}"
            " that it may",
        )
    if seconds is not None and limits.seconds_p95 is not None and seconds > limits.seconds_p95:
        yield _Ruling(
            Status.BLOCK,
            f"95 of 100 calls take up to {seconds:.3g} s, longer than the {limits.seconds_p95:g} s"
            " that they may",
        )


class _Rules:
    """The rules about scores, on one state of the evidence."""

    def __init__(self, evidence: Evidence, gate: Gate) -> None:
        self._evidence = evidence
        self._gate = gate
        self._alpha = 1 - gate.confidence
        self.possible_rounds = gate.repeats if evidence.sampled else 1
        self._capital = shares(self.possible_rounds)

    def tagged(self, tag: str) -> tuple[Example, ...]:
        """The examples of the whole set that carry a tag."""
        return tuple(one for one in self._evidence.examples if tag in one.tags)

    def score(self, name: str, examples: Sequence[Example], least: float) -> _Ruling:
        """Whether the candidate's score on `examples` is at least `least`."""
        seen = self._seen(examples)
        if not seen:
            return _Ruling(Status.INCONCLUSIVE, f"{name}: not looked at yet")
        score = mean_score(self._evidence.candidate, seen)
        status = Status.PASS if score >= least else Status.BLOCK
        if len(seen) < len(examples):
            sample = self._sample(examples, partial(_mean, self._evidence.candidate), self._alpha)
            status = _tested(sample, least)
        verb = "is below" if score < least else "reaches"
        if status is Status.INCONCLUSIVE:
            verb = "may still fall on either side of"
        of_all = "" if len(seen) == len(examples) else f" on {len(seen)} of {len(examples)}"
        return _Ruling(status, f"{name} {score:.3f}{of_all} {verb} the threshold {least:.3f}")

    def against_champion(self) -> tuple[Comparison | None, _Ruling]:
        """Whether the candidate is not worse than the champion by the margin or more."""
        if self._evidence.champion is None:
            words = "there is no released version to compare with"
            return None, _Ruling(Status.PASS, words)
        margin = self._gate.margin
        found, status = self._compared(self._evidence.examples, margin, self._alpha)
        words = f"against the champion {in_words(found)}, {self._gate.confidence:.0%} sure"
        meaning = {
            Status.PASS: f"not worse by {margin:.3f}",
            Status.BLOCK: f"worse by more than {margin:.3f}",
            Status.INCONCLUSIVE: f"a loss of {margin:.3f} or more cannot be excluded",
        }
        return found, _Ruling(status, f"{words}: {meaning[status]}")

    def collapses(self) -> tuple[dict[str, Comparison], list[_Ruling]]:
        """Whether the candidate loses a slice: any tag with enough examples.

        The chance of error is divided over the tags. With every example seen an open question
        about a slice is reported, and stops nobody.
        """
        if self._evidence.champion is None:
            return {}, []
        tags = sorted({tag for example in self._evidence.examples for tag in example.tags})
        slices = {tag: self.tagged(tag) for tag in tags}
        slices = {tag: few for tag, few in slices.items() if len(few) >= LEAST_EXAMPLES_OF_A_TAG}
        found: dict[str, Comparison] = {}
        rulings = []
        for tag, examples in slices.items():
            if not self._seen(examples):
                rulings.append(_Ruling(Status.INCONCLUSIVE, f"tag {tag!r}: not looked at yet"))
                continue
            limit, alpha = self._gate.tag_margin, self._alpha / len(slices)
            found[tag], status = self._compared(examples, limit, alpha)
            words = f"tag {tag!r} against the champion {in_words(found[tag])}"
            if status is Status.BLOCK:
                rulings.append(_Ruling(status, f"{words}: a loss of more than {limit:.3f}"))
            elif status is Status.INCONCLUSIVE and not self._evidence.complete:
                rulings.append(_Ruling(status, f"{words}: open"))
        return found, rulings

    def too_small(self, tags: Mapping[str, Comparison]) -> Iterable[str]:
        """In words, the slices about which nothing could be shown although all was seen."""
        open_ = [tag for tag, found in tags.items() if found.low < -self._gate.tag_margin]
        if open_ and self._evidence.complete:
            names = ", ".join(map(repr, open_))
            yield f"too few examples to exclude a loss of {self._gate.tag_margin:.3f}: tag {names}"

    def _compared(
        self, examples: Sequence[Example], margin: float, alpha: float
    ) -> tuple[Comparison, Status]:
        candidate, champion = self._evidence.candidate, self._evidence.champion
        assert champion is not None

        def unit(example: Example, rounds: int) -> float:
            difference = _mean(candidate, example, rounds) - _mean(champion, example, rounds)
            return (1 + difference) / 2

        sample = self._sample(examples, unit, alpha)
        low, high = sample.interval()
        seen = self._seen(examples)
        difference = mean_score(candidate, seen) - mean_score(champion, seen)
        found = Comparison(len(seen), difference, 2 * low - 1, 2 * high - 1)
        return found, _tested(sample, (1 - margin) / 2)

    def _seen(self, examples: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(one for one in examples if one.id in self._evidence.candidate)

    def _sample(
        self, examples: Sequence[Example], value: Callable[[Example, int], float], alpha: float
    ) -> Sample:
        """Observations in [0, 1] of those of `examples` that were seen, round by round."""
        stakes = Stakes.on([example.weight for example in examples], alpha)
        seen = self._seen(examples)
        rounds = (
            [(value(example, number), example.weight) for example in seen]
            for number in range(1, self._evidence.rounds + 1)
        )
        return Sample.of(rounds, stakes, self._capital)


def _tested(sample: Sample, mean: float) -> Status:
    """PASS where the true mean is shown to exceed `mean`, BLOCK where it is shown not to."""
    if sample.exceeds(mean):
        return Status.PASS
    return Status.BLOCK if sample.mirrored.exceeds(1 - mean) else Status.INCONCLUSIVE


def _mean(scores: Scores, example: Example, rounds: int | None = None) -> float:
    """An example's observation: the mean over its first `rounds` repeats, over all by default."""
    return fmean(scores[example.id][:rounds])


def mean_score(scores: Scores, examples: Sequence[Example]) -> float:
    """Weighted mean over examples, each one observation however often it was asked."""
    total = math.fsum(example.weight for example in examples)
    return math.fsum(_mean(scores, one) * one.weight for one in examples) / total


def in_words(found: Comparison) -> str:
    """A comparison as it stands in reasons."""
    return (
        f"{found.difference:+.3f} on {found.n} shared examples"
        f" ({found.low:+.3f} to {found.high:+.3f})"
    )
