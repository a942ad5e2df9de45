"""Regular expressions on texts that a model wrote: the adapter to RE2.

RE2 matches in time linear in the text, whatever the pattern (decision 0410).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re2

Matches = Callable[[str], bool]


def matcher(pattern: str) -> Matches:
    """Return a function that says whether a whole text matches.

    Raises `ValueError` saying why not.
    """
    compiled = _compiled(pattern)

    def matches(text: str) -> bool:
        return compiled.fullmatch(text) is not None

    return matches


def finder(pattern: str) -> Matches:
    """Return a function that says whether a pattern is anywhere in a text; raises `ValueError`."""
    compiled = _compiled(pattern)

    def found(text: str) -> bool:
        return compiled.search(text) is not None

    return found


def _compiled(pattern: str) -> re2._Regexp[str]:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        message = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(message) from None
