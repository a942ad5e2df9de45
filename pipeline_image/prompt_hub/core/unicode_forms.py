"""Texts that are written by other characters and read the same."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_RAISED = {"<super>", "<sub>"}
_STILL_LETTERS = {"So", "Lo"}
"""Raised characters that are words all the same: the signs ™ and ℠, the ordinals ª and º."""


def compatible(text: str) -> str:
    """Return a text in Unicode's form NFKC, but for characters that NFKC makes other numbers of.

    NFKC writes 10³ as 103, 5½ as 51⁄2 and 7① as 71. Superscripts, subscripts, fractions and
    enclosed digits stay what they are; width, ligatures, the signs ™, Ω (U+2126) and µ (U+00B5)
    are folded as ever.
    """
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return text
    return unicodedata.normalize("NFC", "".join(map(_folded, unicodedata.normalize("NFD", text))))


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    tag, _, codes = unicodedata.decomposition(character).partition(" ")
    if not tag.startswith("<"):
        return character
    if tag in _RAISED and unicodedata.category(character) not in _STILL_LETTERS:
        return character
    parts = [chr(int(code, 16)) for code in codes.split()]
    holds_digits = any(part.isdecimal() for part in parts)
    if holds_digits and unicodedata.category(character) != "Nd":
        return character
    return "".join(_folded(part) for part in unicodedata.normalize("NFD", "".join(parts)))
