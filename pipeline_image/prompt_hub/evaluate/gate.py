"""The verdict: a pure function of two measurements and the task's metadata (design D6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist, fmean, stdev


class Status(StrEnum):
    """What is decided about a candidate.

    `UNCHANGED` is said of a candidate that is the champion already: there is nothing to decide.
    """

    PASS = "PASS"  # noqa: S105
    BLOCK = "BLOCK"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_MEASURED = "NOT_MEASURED"
    UNCHANGED = "UNCHANGED"


@dataclass(frozen=True)
class Comparison:
    """Candidate minus champion on the same examples, with a two-sided interval."""

    n: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """A verdict and the reasons for it, in words."""

    status: Status
    reasons: tuple[str, ...]
    comparison: Comparison | None = None


def wilson(score: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a proportion (E. B. Wilson, JASA 1927).

    For scores between 0 and 1 that are not proportions it is wider than it need be: of all
    variables on [0, 1] with a given mean, the 0/1 variable has the largest variance.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (score + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(score * (1 - score) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def compare(
    candidate: Mapping[str, float], champion: Mapping[str, float], confidence: float
) -> Comparison:
    """Paired difference over the examples that both measured, normal approximation of the mean.

    With fewer than two pairs the interval is the whole range: nothing is known.
    """
    shared = sorted(candidate.keys() & champion.keys())
    differences = [candidate[name] - champion[name] for name in shared]
    if len(differences) < 2:
        return Comparison(len(differences), fmean(differences) if differences else 0.0, -1.0, 1.0)
    mean = fmean(differences)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    half = z * stdev(differences) / math.sqrt(len(differences))
    return Comparison(len(differences), mean, mean - half, mean + half)


def decide(
    *,
    score: float | None,
    threshold: float,
    candidate: Mapping[str, float],
    champion: Mapping[str, float] | None,
    margin: float,
    confidence: float,
    missing: Sequence[str] = (),
) -> Decision:
    """Decide about a candidate.

    Args:
        score: weighted mean score of the candidate, None if anything could not be measured.
        threshold: the least score that is good enough.
        candidate: score by example id.
        champion: the same of the released version, None before the first release.
        margin: how much worse than the champion is still accepted.
        confidence: of the comparison's two-sided interval.
        missing: what could not be measured, in words.
    """
    if missing or score is None or not candidate:
        return Decision(Status.NOT_MEASURED, tuple(missing) or ("there are no examples to score",))
    if score < threshold:
        reason = f"score {score:.3f} is below the threshold {threshold:.3f}"
        return Decision(Status.BLOCK, (reason,))
    passed = f"score {score:.3f} reaches the threshold {threshold:.3f}"
    if champion is None:
        return Decision(Status.PASS, (passed, "there is no released version to compare with"))
    found = compare(candidate, champion, confidence)
    words = (
        f"against the champion {found.difference:+.3f} on {found.n} shared examples"
        f" ({confidence:.0%} interval {found.low:+.3f} to {found.high:+.3f})"
    )
    if found.low >= -margin:
        return Decision(Status.PASS, (passed, f"{words}: not worse by {margin:.3f}"), found)
    if found.high < -margin:
        return Decision(Status.BLOCK, (f"{words}: worse by more than {margin:.3f}",), found)
    undecided = f"{words}: a loss of more than {margin:.3f} cannot be excluded"
    return Decision(Status.INCONCLUSIVE, (undecided, "label more examples"), found)
