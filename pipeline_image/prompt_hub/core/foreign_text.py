"""Text of others (models, providers, files, records) made safe to be shown: the one place for it.

Whoever shows it puts the reason, which is ours, first and whole, and bounds what is foreign. Not
printable, so never shown as it is, are control characters, separators of lines and paragraphs,
marks that turn the direction of writing, and halves of characters (`str.isprintable`).
"""

from __future__ import annotations

SUBJECT_LIMIT = 100
"""Characters of a mail's subject, of which SNS takes no more."""
LONGEST_MAIL = 20_000
"""Characters of a mail; SNS takes 256 KiB, but one that long is read by nobody."""
_LONGEST_LINE = 2_000
_CUT = "…"


def one_line(text: str, longest: int | None = None) -> str:
    """Return a text as one line that no terminal obeys and no log takes for two.

    White space, and what is not printable, becomes one blank.

    Args:
        text: what somebody else wrote.
        longest: characters that are returned at most; the end of a longer line is left out.
    """
    if not text.isprintable():
        blank = {ord(mark): " " for mark in set(text) if not mark.isprintable()}
        text = text.translate(blank)
    line = " ".join(text.split())
    return line if longest is None else shortened(line, longest)


def shortened(text: str, longest: int) -> str:
    """Return a text, its end left out where it is longer than `longest` characters, from 1."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + _CUT


def escaped(text: str, keep: str = "") -> str:
    """Return a text with what is not printable written as its escape, but for what is in `keep`.

    Made for what somebody must find in a file: a key may neither clear the screen nor begin a line.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def mail_subject(text: str) -> str:
    """Return a text as the subject of a mail by SNS: one line of ASCII, and short."""
    return one_line(text).encode("ascii", "replace").decode("ascii")[:SUBJECT_LIMIT].rstrip()


def mail_body(text: str) -> str:
    """Return a text as that of a mail by SNS, which refuses one that is too long.

    The end of a very long line is left out; of too many lines those before the last, as the last
    one says what to do.
    """
    text = "\n".join(shortened(line, _LONGEST_LINE) for line in text.split("\n"))
    if len(text) <= LONGEST_MAIL:
        return text
    kept, _, _ = text[:LONGEST_MAIL].rpartition("\n")
    _, _, last = text.rpartition("\n")
    return f"{kept}\n… and more, for which a mail has no room.\n\n{last}"
