"""Regular expressions on texts that a model wrote: the adapter to RE2.

RE2 matches in time linear in the text, whatever the pattern (decision 0410).
"""

from __future__ import annotations

from collections.abc import Callable

Matches = Callable[[str], bool]


def matcher(pattern: str) -> Matches:
    """Return a function that says whether a whole text matches.

    Raises `ValueError` saying why not.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        message = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(message) from None

    def matches(text: str) -> bool:
        return compiled.fullmatch(text) is not None

    return matches
