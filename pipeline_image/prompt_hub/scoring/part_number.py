"""Part numbers: spaces and the kind of a hyphen do not matter, every other punctuation does."""

from __future__ import annotations

import re
from functools import lru_cache

from prompt_hub.core.unicode_forms import compatible
from prompt_hub.scoring.text_forms import Case

_HYPHENS = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))

_PACKAGING = re.compile(
    r"(?<=#)TRM?(?=PBF$)|#TRM?$|-(?:REEL(?:7|13)?|RL7?|R2|R7)$|(?<=\+)T(?:&R)?$|,\d{3}$",
    re.IGNORECASE,
)
"""Suffixes that say how a part is packed, as their makers document them, and nothing else.

In this order: Linear Technology's tape and reel (`#TR`, `#TRPBF`; `#PBF` stays, for it is about
lead), Analog Devices' reels, Maxim's tape and reel behind the `+` that stands for lead-free, and
the last three digits of the order codes of NXP and Nexperia. docs/scorers.md names the sources.
"""


@lru_cache(maxsize=4096)
def part_number(text: str, case: Case = "fold", *, strip_packaging: bool = False) -> str:
    """Return a part number as it is compared.

    Punctuation stays: `SMBJ6.0CA` clamps at 6 V and `SMBJ60CA` at 60 V. What stands behind `#`,
    `/`, `+` or `,` stays as well, unless it is packaging that is to be stripped.
    """
    plain = "".join(compatible(text).translate(_HYPHENS).split())
    if strip_packaging:
        plain = _PACKAGING.sub("", plain, count=1)
    return plain.casefold() if case == "fold" else plain
