"""Shapes of keys, found in files and kept out of every message."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from math import log2

from prompt_hub.scoring.patterns import finder

_WORD = "(?<![A-Za-z0-9])"
SHAPES: dict[str, tuple[tuple[str, ...], str]] = {
    "an AWS access key id": (("AKIA", "ASIA"), _WORD + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    "an API key (sk-...)": (("sk-",), r"(?<![A-Za-z0-9-])sk-[A-Za-z0-9_-]{20,}"),
    "a private key": (
        ("-----BEGIN",),
        r"-----BEGIN (?:[A-Z]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----",
    ),
    "a GitHub token": (
        ("ghp_", "gho_", "ghu_", "ghr_", "ghs_", "github_pat_"),
        _WORD + r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    ),
    "a GitLab token": (("glpat-",), _WORD + r"glpat-[A-Za-z0-9_-]{20,}"),
    "a Slack token": (("xox",), _WORD + r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "a Slack webhook": (
        ("hooks.slack.com",),
        r"https://hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+",
    ),
    "a Google API key": (("AIza",), _WORD + r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "a Hugging Face token": (("hf_",), _WORD + r"hf_[A-Za-z]{34,}(?![A-Za-z0-9])"),
    "an npm or PyPI token": (
        ("npm_", "pypi-AgE"),
        _WORD + r"(?:npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{50,})",
    ),
    "a Stripe key": (
        ("k_live_", "k_test_"),
        _WORD + r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    ),
    "a JSON web token": (
        ("eyJ",),
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    ),
    "a password in an address": (
        ("://",),
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"{}]{1,100}:[^\s/:@'\"{}]{3,100}@",
    ),
}
"""What a key is called → literals of which it has one, and its pattern.

The literals are looked for first: most files have none, and that search costs next to nothing.
Every repetition that can start anywhere is bounded: no file makes the search slow.
"""

_TELLING = ("key", "secret", "token", "passw", "credential")
_ASSIGNED = re.compile(
    r"(?i)(?:key|secret|token|passw(?:or)?d|credential)"
    r"[a-z0-9_-]{0,20}[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<value>[A-Za-z0-9+/_=.~-]{20,200})"
)
ASSIGNED = "a secret given to a name such as api_key"
_LARGE = 50_000
"""Characters above which all hints are looked for at once; the engine for that takes 10 ms."""
MOST = 100
"""Keys of one file that are told: enough to see that it should not be there at all."""
_BITS = 3.6
"""Bits a character above which a text of 20 characters or more is taken for random."""


Found = tuple[int, int, str]
"""Line and column of a key, and what it looks like."""


def find(text: str) -> Iterator[Found]:
    """Yield `(line, column, what it looks like)` of the first `MOST` keys in `text`."""
    if len(text) > _LARGE and not _hinted()(text):
        return
    for start, _, name in islice(_spans(text), MOST):
        yield text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start), name


@cache
def _hinted() -> Callable[[str], bool]:
    """Return what says whether a text has anything with which a key or its name begins."""
    literals = [re.escape(literal) for literals, _ in SHAPES.values() for literal in literals]
    return finder("|".join([*literals, f"(?i:{'|'.join(_TELLING)})"]))


def redacted(text: str) -> str:
    """`text` with everything that looks like a key replaced by what it looks like."""
    for start, end, name in sorted(_spans(text), reverse=True):
        text = f"{text[:start]}[{name}]{text[end:]}"
    return text


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    taken: list[tuple[int, int]] = []
    for name, (literals, shape) in SHAPES.items():
        if any(literal in text for literal in literals):
            for match in re.finditer(shape, text):
                taken.append(match.span())
                yield (*match.span(), name)
    for match in _assignments(text):
        start, end = match.span("value")
        known = any(start < other_end and other < end for other, other_end in taken)
        if not known and _looks_random(match["value"]):
            taken.append((start, end))
            yield start, end, ASSIGNED


def _assignments(text: str) -> Iterator[re.Match[str]]:
    lower = text.lower()
    if len(lower) != len(text):
        lower = text  # characters whose lower case is longer: places would no longer agree
    for word in _TELLING:
        at = lower.find(word)
        while at >= 0:
            if match := _ASSIGNED.match(text, at):
                yield match
            at = lower.find(word, at + len(word))


def _looks_random(value: str) -> bool:
    """Whether a text has digits and letters mixed as only a generator mixes them."""
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    counts = Counter(value).values()
    bits = -sum(count / len(value) * log2(count / len(value)) for count in counts)
    # A part number of one case is not random; a key of one case is long.
    return (kinds == 3 or (kinds == 2 and len(value) >= 32)) and bits > _BITS
