"""Whether live calls of one version break its contract more often than those of another did.

The other one answered other callers at another time, so this says that something is worse, and not
that the version is to blame: a caller may send what nobody sent before, and a provider may have
changed. It is a reason to measure both on the same examples (docs/watch.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from prompt_hub.core import aws_names, wording
from prompt_hub.ledger.detector import Detector, Evidence, log_wins_against

ERROR = 0.01
"""Chance that versions which keep their contracts alike are told apart, where calls are
independent. Callers who send the same again and again break that, which costs a comparison."""
_HALVINGS = 40


@dataclass(frozen=True, kw_only=True)
class Calls:
    """How many calls a version answered, and how many of them broke its contract."""

    calls: int
    broken: int

    @property
    def many_broken(self) -> bool:
        """Whether as many broke as an alarm fires on."""
        return self.broken >= aws_names.LEAST_BROKEN and (
            100 * self.broken >= aws_names.BROKEN_PERCENT * self.calls
        )

    def __str__(self) -> str:
        """Say it for people."""
        return f"{self.broken:,} of {wording.count(self.calls, 'call')}"


def breaks_more(active: Calls, previous: Calls) -> bool:
    """Whether the active version is shown to break its contract more often than the previous did.

    The share that the previous version broke at most is bounded first, then the active version's
    calls are bet against it; each has half of the error. However often one looks, the error holds.
    """
    share = _most_broken(previous)
    if share >= 1:
        return False
    kept = active.calls - active.broken
    return _shows_less(kept, active.calls, 1 - share)


def _most_broken(found: Calls) -> float:
    """Return the greatest share of broken contracts that `found` leaves possible; 1 if any is."""
    low, high = found.broken / found.calls if found.calls else 1.0, 1.0
    if low >= 1 or not _shows_less(found.broken, found.calls, 0.99):
        return 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _shows_less(found.broken, found.calls, middle):
            high = middle
        else:
            low = middle
    return high


def _shows_less(count: int, calls: int, share: float) -> bool:
    """Whether `count` of `calls` is less than so large a share, beyond half of the error."""
    detector = Detector()
    sums = Evidence(rounds=1, asked=calls, earned=count, error=ERROR / 2)
    detector.add(log_wins_against(sums, share))
    return detector.shows(sums.error)
