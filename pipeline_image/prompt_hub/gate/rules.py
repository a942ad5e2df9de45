"""The verdict: a pure function of what was measured and of the task's metadata.

It is asked after every look and says whether more must be measured. docs/gate.md has the method.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, assert_never

from prompt_hub.core import wording
from prompt_hub.core.exact import CARELESS, reaches, stated
from prompt_hub.gate.confidence_sequence import BettingPlan, WeightedObservations, round_allocation
from prompt_hub.gate.targeted_bets import Betting, MeanTest, TargetedTest
from prompt_hub.gate.types import Conclusion, Difference, Evidence, Status, mean_score
from prompt_hub.repository.schema import Gate, Limits

Tested = Literal[Status.PASS, Status.BLOCK, Status.INCONCLUSIVE]
"""What a rule about scores can say."""
GateVersion = Literal["1", "2", "3"]
GATE_VERSION: GateVersion = "3"
"""Moves whenever the gate may decide differently on the same measurements.

A record says by which one it was decided. `1` compared sums of floats, and its comparisons bet by
the mixture alone (decision 1302); `2` did not plan the end of a set (decision 1303).
"""
LEAST_EXAMPLES_OF_A_TAG = 8
"""With fewer examples a collapse of their tag cannot be shown, whatever the scores."""


@dataclass(frozen=True)
class _Ruling:
    """What one rule says, INCONCLUSIVE where it waits for more; words are made when needed."""

    status: Status
    words: Callable[[], str] = str


def decide(
    evidence: Evidence,
    *,
    threshold: float,
    gate: Gate,
    limits: Limits,
    version: GateVersion = GATE_VERSION,
) -> Conclusion:
    """Decide about a candidate, or say what more must be measured.

    Before every example was looked at, a rule counts as decided only where the confidence
    sequence of its number is; at the end the score's rules are point rules. A look that blocks
    ends the evaluation, one that passes only if no rule is open.

    Args:
        evidence: what was measured so far.
        threshold: the least score that is good enough.
        gate: margins, confidence and possible repeats.
        limits: what a call may cost and how long it may take.
        version: the gate that decides, an earlier one where its verdict is made again.
    """
    missing = _missing(evidence, gate)
    if missing:
        return Conclusion(Status.NOT_MEASURED, missing)
    rules = _Rules(evidence, gate, version)
    comparison, slices = rules.comparison(), rules.slices()
    rulings = [
        rules.score("score", rules.every, threshold),
        rules.not_worse(comparison),
        *(
            rules.score(f"score of the tag {tag!r}", evidence.examples.tagged[tag], least)
            for tag, least in sorted(gate.tags.items())
        ),
        *(rules.no_collapse(tag, paired) for tag, paired in slices.items()),
        *_limits(evidence, limits),
    ]
    statuses = {ruling.status for ruling in rulings}
    status = next(entry for entry in _BY_FORCE if entry in statuses)
    if status is Status.INCONCLUSIVE:
        if not evidence.complete:
            return Conclusion(status, (), more="examples")
        if evidence.rounds < rules.possible_rounds:
            return Conclusion(status, (), more="repeats")
    message = sorted(rulings, key=lambda ruling: _BY_FORCE.index(ruling.status))
    return Conclusion(
        status,
        tuple(words for ruling in message if (words := ruling.words())),
        comparison.found if comparison else None,
        {tag: item.found for tag, item in slices.items()},
    )


_BY_FORCE = (Status.BLOCK, Status.NOT_MEASURED, Status.INCONCLUSIVE, Status.PASS)
"""What one rule says outweighs what follows."""


def _missing(evidence: Evidence, gate: Gate) -> tuple[str, ...]:
    """Why nothing may be concluded, in words; empty where everything is there."""
    if evidence.missing:
        return tuple(dict.fromkeys(evidence.missing))
    if not evidence.candidate.asked:
        return ("there are no examples to score",)
    found = [
        f"no example carries the tag {tag!r}, whose least score the gate states"
        for tag in sorted(gate.tags.keys() - evidence.examples.tagged.keys())
    ]
    if not evidence.candidate.same_asked(evidence.champion or evidence.candidate):
        found.append("candidate and champion were not measured on the same examples")
    elif evidence.rounds > 1 and not evidence.complete:
        found.append("examples were left out while others were asked again")
    return tuple(found)


def _limits(evidence: Evidence, limits: Limits) -> Iterable[_Ruling]:
    usd, seconds = evidence.usd_per_call, evidence.seconds_p95
    if usd is not None and costs_too_much(usd, limits):
        cost, most = _beside(usd, limits.usd_per_call)
        dear = f"a call costs {cost} US dollars on average, more than {most}"
        yield _Ruling(Status.BLOCK, lambda: dear)
    if seconds is not None and limits.seconds_p95 is not None and seconds > limits.seconds_p95:
        time, most = _beside(seconds, limits.seconds_p95)
        slow = f"5 of 100 calls take {time} s or longer, more than {most} s"
        yield _Ruling(Status.BLOCK, lambda: slow)
    if evidence.untimed and limits.seconds_p95 is not None:
        unknown = (
            "the latency is not known, which limits.seconds_p95 limits:"
            f" {wording.count(evidence.untimed, 'answer')} came in batches"
            " (--fresh without --backend batch measures it)"
        )
        yield _Ruling(Status.NOT_MEASURED, lambda: unknown)


def _beside(measured: float, limit: float) -> tuple[str, str]:
    """Return both in words that differ where they do."""
    return wording.amount(measured, limit), wording.amount(limit, measured)


def costs_too_much(usd_per_call: float | None, limits: Limits) -> bool:
    """Whether a call costs more than it may; one whose price is not known does not."""
    # A price is a sum of floats, and nobody is charged a part in a million million.
    return usd_per_call is not None and usd_per_call * (1 - CARELESS) > limits.usd_per_call


def alpha_of(gate: Gate) -> float:
    """Return the chance of each error that the gate allows."""
    return float(1 - stated(gate.confidence))


def betting_of(evidence: Evidence, gate: Gate, version: GateVersion) -> Betting:
    """Return how a comparison bets: by the looks that are planned for its set."""
    if version != GATE_VERSION:
        return "gate 2"
    return "one look" if len(evidence.examples) <= gate.first_look else "several looks"


@dataclass(frozen=True)
class _Paired:
    """Both arms on some examples, and whether the candidate is shown to lose less than `margin`."""

    n: int
    difference: float
    margin: float
    not_worse: MeanTest
    """That (1 + difference) / 2, which lies in [0, 1], exceeds what a loss of the margin leaves."""
    worse: MeanTest
    """That (1 - difference) / 2 exceeds it."""

    @cached_property
    def status(self) -> Tested:
        """PASS where a loss of the margin is ruled out, BLOCK where more than it is shown."""
        if self.not_worse.shown:
            return Status.PASS
        return Status.BLOCK if self.worse.shown else Status.INCONCLUSIVE

    @cached_property
    def found(self) -> Difference:
        """The comparison as it is reported."""
        low, high = self.not_worse.lower_bound(), 1 - self.worse.lower_bound()
        return Difference(n=self.n, difference=self.difference, low=2 * low - 1, high=2 * high - 1)


class _Rules:
    """The rules about scores, on one state of the evidence."""

    def __init__(self, evidence: Evidence, gate: Gate, version: GateVersion) -> None:
        self._evidence = evidence
        self._gate = gate
        self._version = version
        self._alpha = 1 - gate.confidence if version == "1" else alpha_of(gate)
        self.possible_rounds = gate.repeats if evidence.sampled else 1
        self._capital = round_allocation(self.possible_rounds)
        self.every: Sequence[int] = range(len(evidence.examples))
        """Places of all examples."""
        self._weights = evidence.examples.weights

    def score(self, name: str, places: Sequence[int], least: float) -> _Ruling:
        """Whether the candidate's score on the examples at `places` is at least `least`."""
        scores = self._evidence.candidate
        seen = self._seen(places)
        if not seen:
            return _Ruling(Status.INCONCLUSIVE)
        score = mean_score(scores, seen, self._weights)
        enough = reaches(score, least)
        status = Status.PASS if enough else Status.BLOCK
        if len(seen) < len(places):
            status = _tested(self._sample(places, scores.mean, self._alpha), least)
        verb = "reaches" if enough else "is below"
        of_all = "" if len(seen) == len(places) else f" on {len(seen)} of {len(places)}"
        return _Ruling(
            status,
            lambda: (
                f"{name} {wording.score(float(score), least)}{of_all} {verb}"
                f" the threshold {_whole(least)}"
            ),
        )

    def comparison(self) -> _Paired | None:
        """Candidate and champion on all examples; None where no champion was measured."""
        if self._evidence.champion is None:
            return None
        return self._paired(self.every, self._gate.margin, self._alpha)

    def not_worse(self, comparison: _Paired | None) -> _Ruling:
        """Whether the candidate is not worse than the champion by the margin or more."""
        if comparison is None:
            # There may be one: of another input, or the candidate itself on another model.
            return _Ruling(Status.PASS, lambda: "no other released version was measured beside it")
        meaning = _meaning(comparison.status, _whole(comparison.margin))
        sure = f"{100 * self._gate.confidence:g}% sure"
        return _Ruling(
            comparison.status,
            lambda: f"against the champion {_in_words(comparison)}, {sure}: {meaning}",
        )

    def slices(self) -> dict[str, _Paired]:
        """Both arms on the seen examples of each tag that has enough in the whole set.

        The chance of error is divided over these tags.
        """
        if self._evidence.champion is None:
            return {}
        large = {
            tag: places
            for tag, places in self._evidence.examples.tagged.items()
            if len(places) >= LEAST_EXAMPLES_OF_A_TAG
        }
        return {
            tag: self._paired(places, self._gate.tag_margin, self._alpha / len(large))
            for tag, places in large.items()
        }

    def no_collapse(self, tag: str, paired: _Paired) -> _Ruling:
        """Whether a slice has collapsed; what stays open with all examples seen is only said."""
        margin = _whole(paired.margin)
        meaning = "" if paired.status is Status.PASS else _meaning(paired.status, margin)
        open_at_the_end = paired.status is Status.INCONCLUSIVE and self._evidence.complete
        return _Ruling(
            Status.PASS if open_at_the_end else paired.status,
            lambda: meaning and f"tag {tag!r} {_in_words(paired)}: {meaning}",
        )

    def _paired(self, places: Sequence[int], margin: float, alpha: float) -> _Paired:
        candidate, champion = self._evidence.candidate, self._evidence.champion
        assert champion is not None

        def in_unit(place: int, rounds: int) -> float:
            return (1 + (candidate.mean(place, rounds) - champion.mean(place, rounds))) / 2

        def mirrored(place: int, rounds: int) -> float:
            return 1 - in_unit(place, rounds)

        seen = self._seen(places)
        difference = 0.0
        if seen:
            scores = (mean_score(arm, seen, self._weights) for arm in (candidate, champion))
            difference = float(next(scores) - next(scores))
        not_worse: MeanTest
        worse: MeanTest
        if self._version == "1":
            not_worse = MeanTest(self._sample(places, in_unit, alpha), (1 - margin) / 2)
            worse = MeanTest(self._sample(places, mirrored, alpha), (1 + margin) / 2)
        else:
            not_worse = aimed = TargetedTest.of(
                self._observed(self._in_turn(places), in_unit),
                self._weights_of(places),
                alpha,
                self._capital,
                (1 - margin) / 2,
                betting=betting_of(self._evidence, self._gate, self._version),
            )
            worse = aimed.mirrored((1 + margin) / 2)
        return _Paired(len(seen), difference, margin, not_worse, worse)

    def _in_turn(self, places: Sequence[int]) -> Sequence[int]:
        """Return those of `places` that were asked, in the order in which they were."""
        asked = self._evidence.candidate.asked
        if places is self.every:
            return asked
        among = bytearray(len(self.every))
        for place in places:
            among[place] = True
        return array("I", (place for place in asked if among[place]))

    def _seen(self, places: Sequence[int]) -> Sequence[int]:
        scores = self._evidence.candidate
        if self._evidence.complete:
            return places
        return array("I", (place for place in places if place in scores))

    def _weights_of(self, places: Sequence[int]) -> Sequence[float]:
        if places is self.every:
            return self._weights
        return array("d", (self._weights[place] for place in places))

    def _observed(
        self, places: Sequence[int], value: Callable[[int, int], float]
    ) -> Iterable[Iterable[tuple[float, float]]]:
        """Yield value and weight of the examples at `places`, round by round."""
        for number in range(1, self._evidence.rounds + 1):
            yield ((value(place, number), self._weights[place]) for place in places)

    def _sample(
        self, places: Sequence[int], value: Callable[[int, int], float], alpha: float
    ) -> WeightedObservations:
        """Observations in [0, 1] of those at `places` that were seen, round by round."""
        plan = BettingPlan.on(self._weights_of(places), alpha)
        rounds = self._observed(self._seen(places), value)
        return WeightedObservations.of(rounds, plan, self._capital)


def _tested(sample: WeightedObservations, mean: float) -> Tested:
    """PASS where the true mean is shown to reach `mean`, BLOCK where to fall below it."""
    if sample.exceeds(mean):
        return Status.PASS
    if mean >= 1:  # one loss shows it, and without one nothing does
        return Status.BLOCK if sample.mirrored.mean > 0 else Status.INCONCLUSIVE
    return Status.BLOCK if sample.mirrored.exceeds(1 - mean) else Status.INCONCLUSIVE


def _meaning(status: Tested, margin: str) -> str:
    """Say what a comparison of both arms showed about a loss of `margin`."""
    match status:
        case Status.PASS:
            return f"not worse by {margin}"
        case Status.BLOCK:
            return f"worse by more than {margin}"
        case Status.INCONCLUSIVE:
            return f"a loss of {margin} or more cannot be excluded"
        case _:
            assert_never(status)


def _whole(least: float) -> str:
    """Return a stated number in three digits, in all of its own where it has more."""
    short = f"{least:.3f}"
    return short if float(short) == least else str(least)


def _in_words(paired: _Paired) -> str:
    found = paired.found
    low, high = (_signed(end, -paired.margin) for end in (found.low, found.high))
    shared = wording.count(found.n, "shared example")
    return f"{found.difference:+.3f} on {shared} ({low} to {high})"


def _signed(difference: float, beside: float) -> str:
    """Return a difference that is not taken for the one beside it."""
    shown = wording.score(difference, beside)
    return shown if shown.startswith("-") else f"+{shown}"
