"""Patterns of paths and branches, by the rules that CodePipeline documents for its triggers.

https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html
"""

from __future__ import annotations

import re
from functools import lru_cache


class GlobError(ValueError):
    """A pattern that is not valid; the message says why."""


def glob_matches(pattern: str, path: str) -> bool:
    """Whether `path` matches `pattern`; raises `GlobError`.

    `*` and `?` stay within a folder, `**` does not. `[ab]`, `[a-c]` and `[!ab]` are one character
    of a name. `{a,b}` is either. A backslash takes its meaning from the next character.
    """
    return compile_glob(pattern).fullmatch(path) is not None


@lru_cache(maxsize=256)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that a pattern means; raises `GlobError`."""
    pieces: list[str] = []
    in_group, at = False, 0
    while at < len(pattern):
        character, at = pattern[at], at + 1
        if character == "\\":
            if at == len(pattern):
                raise GlobError(f"{pattern!r} ends with the backslash of an escape")
            pieces.append(re.escape(pattern[at]))
            at += 1
        elif character == "*":
            piece, at = _stars(pattern, at)
            pieces.append(piece)
        elif character == "?":
            pieces.append("[^/]")
        elif character == "[":
            piece, at = _one_of(pattern, at)
            pieces.append(piece)
        elif character == "{":
            if in_group:
                raise GlobError(f"{pattern!r} has a group in a group")
            in_group = True
            pieces.append("(?:")
        elif in_group and character in "},":
            in_group = character == ","
            pieces.append("|" if in_group else ")")
        else:
            pieces.append(re.escape(character))
    if in_group:
        raise GlobError(f"{pattern!r} has a group that does not end")
    return re.compile("".join(pieces), re.DOTALL)


def _stars(pattern: str, at: int) -> tuple[str, int]:
    """Return what the star before `at` means, and where the pattern goes on."""
    if not pattern.startswith("*", at):
        return "[^/]*", at
    begins = at == 1 or pattern[at - 2] in "/{,"
    if begins and pattern.startswith("*/", at):
        return "(?:.*/)?", at + 2  # any number of folders, none included
    return ".*", at + 1


def _one_of(pattern: str, at: int) -> tuple[str, int]:
    """Return what the bracket before `at` means, and where the pattern goes on.

    Nothing in it has a meaning but `!` at its beginning and `-` between two characters.
    """
    end = pattern.find("]", at)
    negated = pattern.startswith("!", at)
    members = pattern[at + negated : end]
    if end < 0 or not members:
        raise GlobError(
            f"{pattern!r} has a bracket that {'does not end' if end < 0 else 'is empty'}"
        )
    escaped = "".join(
        character if character == "-" and 0 < place < len(members) - 1 else re.escape(character)
        for place, character in enumerate(members)
    )
    try:
        re.compile(f"[{escaped}]")
    except re.error as error:
        raise GlobError(f"{pattern!r}: [{members}] is no set of characters ({error.msg})") from None
    return f"(?!/)[{'^' if negated else ''}{escaped}]", end + 1
