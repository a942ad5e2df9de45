"""Pages of the documentation of which a part is made from the code."""

from __future__ import annotations

import sys
from pathlib import Path

END = "<!-- end of the generated part -->"


def replace_generated_part(page: str, source: str, content: str) -> str:
    """Return `page` with the part that is made from `source` holding `content`.

    Args:
        page: Markdown with the two comments that enclose the part.
        source: where the part comes from, as its opening comment names it.
        content: Markdown.

    Raises:
        ValueError: the page has no such part.
    """
    begin = f"<!-- generated from {source}: do not edit -->"
    before, opened, rest = page.partition(begin)
    _, closed, after = rest.partition(END)
    if not (opened and closed):
        raise ValueError(f"the page has no part between {begin!r} and {END!r}")
    return f"{before}{begin}\n\n{content}\n\n{END}{after}"


def rewrite(source: str, content: str) -> None:
    """Bring the page that the command line names up to date."""
    path = Path(sys.argv[1])
    page = replace_generated_part(path.read_text(encoding="utf-8"), source, content)
    path.write_text(page, encoding="utf-8")
