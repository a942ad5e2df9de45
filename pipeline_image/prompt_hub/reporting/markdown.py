"""Markdown in which nothing that came from outside means anything.

Values from records and models are written as character references inside `<code>`: they can make
neither markup, nor a link, nor a mention of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from prompt_hub.core.foreign_text import one_line

LONGEST = 160
"""Characters of one value; the page has the whole."""

_MARKUP = re.compile(
    r"""[^\w ,;%=–()'".:+-]|_"""
    r"|\.(?=[^\W\d])|(?<=\d)\.(?!\d)"  # www.x, and a list's 1.
    r"|:(?!\s)|\+(?!\d)|-(?!\w)"  # https: and :smile:, a list's + and -
)
"""What could mean anything to Markdown, or to those who render it with links and mentions."""


def escaped(text: str) -> str:
    """Text as Markdown that shows it as it is, on one line."""
    return _MARKUP.sub(lambda found: "".join(f"&#{ord(c)};" for c in found[0]), one_line(text))


def code(text: str, longest: int = LONGEST) -> str:
    """Write a value from outside so that nothing in it is markup, link or mention.

    Cut long ones.
    """
    return f"<code>{escaped(one_line(text, longest))}</code>"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: int) -> list[str]:
    """Lines of a table; its last `numbers` columns are set to the right."""
    columns = list(head)
    rule = ["---"] * (len(columns) - numbers) + ["--:"] * numbers
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows)]


def fenced(text: str, kind: str = "") -> list[str]:
    """Lines of a block that shows `text` as it is, whatever stands in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{kind}", *text.splitlines(), fence]
