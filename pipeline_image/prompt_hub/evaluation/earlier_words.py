"""The reasons of a record that says the same in the words of its day: they are kept as sealed.

Words get better: a count gets its noun, a number the digits that tell it from the one beside it.
A record that is made again says what it said then, so long as nothing but such words differs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_NOUN = re.compile(r" (?:examples?|answers?)\b")
_SURE = re.compile(r"\b(\d+(?:\.\d+)?)% sure\b")
"""The gate's confidence, which was told without what is behind its point."""
_OF_ONE_OR_MORE = {"these": "this", "they": "it"}
_WORD = re.compile(rf"\b(?:{'|'.join(_OF_ONE_OR_MORE)})\b")
_MENDED = {
    "there is no released version to compare with": (
        "no other released version was measured beside it"
    )
}
"""Sentences that were not true wherever they were said, and what is said there now."""


def as_sealed(sealed: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Return the reasons of `now`, each as it is sealed where that says the same."""
    if len(sealed) != len(now):
        return tuple(now)
    return tuple(
        before if says_the_same(before, after) else after
        for before, after in zip(sealed, now, strict=True)
    )


def says_the_same(before: str, after: str) -> bool:
    """Whether two reasons differ in nouns of counts, in rounded digits, or by what was mended.

    Args:
        before: the reason as it is sealed.
        after: the reason as it is made today.
    """
    before = _MENDED.get(before, before)
    (frame, numbers), (other_frame, others) = _taken_apart(before), _taken_apart(after)
    return frame == other_frame and all(map(_is_rounded, numbers, others))


def _taken_apart(reason: str) -> tuple[str, list[str]]:
    """Return a reason without its numbers and their nouns, and the numbers."""
    plain = _WORD.sub(lambda word: _OF_ONE_OR_MORE[word[0]], _THOUSANDS.sub("", reason))
    plain = _SURE.sub(lambda sure: f"{float(sure[1]):.0f}% sure", plain)
    return _NUMBER.sub("#", _NOUN.sub("", plain)), _NUMBER.findall(plain)


def _is_rounded(before: str, after: str) -> bool:
    """Whether a number is the other, or the other with digits left out behind its point."""
    places = len(before.partition(".")[2])
    if before == after or not places:
        return before == after
    half = Decimal(5).scaleb(-places - 1)
    return len(after) >= len(before) and abs(Decimal(before) - Decimal(after)) <= half
