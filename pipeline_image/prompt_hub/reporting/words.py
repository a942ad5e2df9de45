"""Numbers and statuses as people say them: the same on every page and in every summary."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from prompt_hub.core import wording
from prompt_hub.core.wording import count
from prompt_hub.gate.types import Status

if TYPE_CHECKING:
    from prompt_hub.evaluation.record import EvaluationRecord

NONE = "–"
"""What stands where nothing was measured."""
LONGEST_LINE = 120
"""Characters of an input or an answer in a terminal; the report has all of them."""

_RED = {"failed", "stopped", "block", "blocked", "not_measured", "quarantined", "lost", "missed"}
_AMBER = {"expected-red", "inconclusive", "downgraded", "inprogress"}
_GREEN = {"ok", "succeeded", "pass", "active", "released", "won"}


def commit_words(summary: str) -> str:
    """Return a summary of CodePipeline; that of a commit, which is JSON, as a sentence."""
    try:
        commit = json.loads(summary)
    except ValueError:
        return summary
    message = commit.get("CommitMessage") if isinstance(commit, dict) else None
    if not isinstance(message, str):
        return summary
    provider = commit.get("ProviderType")
    return f"“{message}”{f', from {provider}' if isinstance(provider, str) else ''}"


def mark(status: Status) -> str:
    """Return a verdict's sign: colour is never the only one."""
    match status:
        case Status.PASS:
            return "✓"
        case Status.BLOCK:
            return "✗"
        case Status.INCONCLUSIVE:
            return "?"
        case Status.NOT_MEASURED:
            return "–"
        case Status.UNCHANGED:
            return "="
        case _:
            assert_never(status)


def reasons(record: EvaluationRecord) -> Iterator[str]:
    """Yield why a verdict is what it is.

    What examples can show against a threshold is put in other words than in the record, which is
    replayed byte for byte.
    """
    power = record.verdict.power
    for reason in record.verdict.reasons:
        if power is None or record.champion is not None or not reason.startswith("power: "):
            yield reason
            continue
        from prompt_hub.gate.power import MOST_EXAMPLES, PROBABILITY

        needed = "more than " if power.needed is None else ""
        needed += count(MOST_EXAMPLES if power.needed is None else power.needed, "example")
        below = max(0.0, round(record.threshold - power.margin, 6))
        these = "this 1 tells" if power.n == 1 else f"these {power.n:,} tell"
        detectable = "none"
        if power.detectable is not None:
            detectable = f"one of {max(0.0, record.threshold - power.detectable):.2f}"
        yield (
            f"power: {needed} would tell a true score of {below:g} from the threshold"
            f" (probability {PROBABILITY}); {these} {detectable}"
        )


def meaning(status: Status) -> str:
    """Say what a verdict means for the version."""
    match status:
        case Status.PASS:
            return "may be released"
        case Status.BLOCK:
            return "may not be released"
        case Status.INCONCLUSIVE:
            return "the evidence is not enough to release it"
        case Status.NOT_MEASURED:
            return "could not be measured; nothing may be concluded"
        case Status.UNCHANGED:
            return "is the released version"
        case _:
            assert_never(status)


def tone(status: str) -> str:
    """Return the CSS class that says whether a status is good news."""
    word = status.lower()
    for name, words in (("good", _GREEN), ("bad", _RED), ("warn", _AMBER)):
        if word in words:
            return name
    return "plain"


def short_of_full(examples: int) -> str:
    """Say how many examples were not answered as well as can be.

    Not *lost*: that word is for what another version did better.
    """
    return f"{count(examples, 'example')} without the full score"


def score(value: float | None, *beside: float | None) -> str:
    """Return a score with three digits, or a dash where nothing was measured.

    It has more digits where it would be taken for one that stands `beside` it.
    """
    return NONE if value is None else wording.score(value, *beside)


def signed(value: float | None, *beside: float | None) -> str:
    """Return a difference of scores; its minus is as wide as its plus.

    It has more digits where it would be taken for one that stands `beside` it.
    """
    if value is None:
        return NONE
    shown = wording.score(value, *beside)
    if float(shown) == 0:
        return f"±{shown.removeprefix('-')}"
    return shown.replace("-", "−") if value < 0 else f"+{shown}"


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.4 s`, `12.3 s`, `4 min 05 s`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def latency(seconds: float | None) -> str:
    """Return the time of one call: milliseconds below a second."""
    if seconds is None:
        return NONE
    return f"{1000 * seconds:.0f} ms" if seconds < 0.9995 else duration(seconds)


def money(usd: float | None) -> str:
    """US dollars; fractions of a cent keep two digits that mean something."""
    if usd is None:
        return NONE
    digits = 2 if usd <= 0 else max(2, 1 - math.floor(math.log10(usd)))
    return f"${usd:,.{digits}f}"


def number(value: float) -> str:
    """Return a count with thousands apart; a fraction where partial matches were counted."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
