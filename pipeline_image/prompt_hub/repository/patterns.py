"""Why a pattern cannot be used, in words.

A schema's validator alone decides whether it can; it only says that it cannot. What people write
most often there, and what other engines say about the rest, is told apart here.
"""

from __future__ import annotations

import re
import warnings

NO_LEAST = "a repetition without its least number, which engines read differently: write {0,n}"
LOOKS_AROUND = "it looks around or back, which could take for ever"
TOO_LARGE = "it repeats something too often: no pattern may grow beyond ten megabytes"
BRACE = "a brace that is meant as text is written \\{"
NO_CLASS = "it names a class of characters that Unicode does not have"
NOT_KNOWN = "the engine of linear time, which matches patterns here, has no such construct"

_WORDS = re.compile(
    r"""
      (?P<class>\\[pP]\{[^}]*\})
    | (?P<escape>\\(?:k<|k'|.)|\\$)
    | (?P<set>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])
    | (?P<around>\(\?(?:=|!|<=|<!|>|R\)|\(|P=))
    | (?P<no_least>\{,\d+\})
    | (?P<repeated>\{\d{4,}(?:,\d*)?\})
    | \{\d+(?:,\d*)?\}
    | (?P<brace>\{)
    """,
    re.VERBOSE | re.DOTALL,
)

_REASONS = {"no_least": NO_LEAST, "repeated": TOO_LARGE, "brace": BRACE}


def pattern_fault(pattern: str) -> str:
    """Say why an engine whose time is linear in the text refuses `pattern`."""
    for word in _WORDS.finditer(pattern):
        text = word.group()
        if word["around"] or (word["escape"] and text[1:2] in set("123456789k")):
            return LOOKS_AROUND
        for name, reason in _REASONS.items():
            if word[name]:
                return reason
    if any(word["class"] for word in _WORDS.finditer(pattern)):
        return NO_CLASS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return NOT_KNOWN
