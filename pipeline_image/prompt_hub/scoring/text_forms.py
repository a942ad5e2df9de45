"""Forms of a text without differences that do not matter, and with those that do."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from prompt_hub.core.unicode_forms import compatible

Case = Literal["fold", "keep"]


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Text without differences that do not matter: Unicode form, case, runs of white space."""
    return " ".join(compatible(text).casefold().split())


@lru_cache(maxsize=4096)
def spelled(text: str) -> str:
    """Text without differences of Unicode form and of runs of white space; case stays."""
    return " ".join(compatible(text).split())
