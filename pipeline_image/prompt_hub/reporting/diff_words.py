"""A difference between two prompts as lines of text, for terminals and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from prompt_hub.core.foreign_text import escaped
from prompt_hub.reporting.pages import folded
from prompt_hub.reporting.prompt_diff import Difference, Run


class _Signs(TypedDict):
    """What stands around a stretch of text, for every kind: a missing one is a type error."""

    removed: tuple[str, str]
    added: tuple[str, str]
    same: tuple[str, str]


_SIGNS: _Signs = {"removed": ("[-", "-]"), "added": ("{+", "+}"), "same": ("", "")}
_COLOURS: _Signs = {
    "removed": ("\x1b[9;31m", "\x1b[0m"),
    "added": ("\x1b[4;32m", "\x1b[0m"),
    "same": ("", ""),
}


def difference_lines(difference: Difference, *, coloured: bool = False) -> Iterator[str]:
    """Yield where it is and what differs.

    Removed and added words are struck out and underlined in colour, or stand in `[-…-]` and
    `{+…+}` where there is no colour.
    """
    signs = _COLOURS if coloured else _SIGNS
    where = escaped(difference.where)
    text = "".join(_signed(run, signs[run.kind]) for run in difference.runs)
    if "\n" not in text and len(text) < 60:
        yield f"{where}: {text}"
        return
    yield f"{where}:"
    yield from (f"    {line}" for line in text.splitlines())


def _signed(run: Run, signs: tuple[str, str]) -> str:
    text = folded(run.text) if run.kind == "same" else run.text
    shown = escaped(text, keep="\n\t")
    return f"{signs[0]}{shown}{signs[1]}"
