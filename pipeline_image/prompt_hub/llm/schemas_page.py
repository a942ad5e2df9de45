"""The generated part of `docs/schemas.md`: what becomes of each word, provider by provider.

`make docs` brings the page up to date.
"""

from __future__ import annotations

from collections.abc import Iterable

from prompt_hub.core.generated_page import rewrite
from prompt_hub.llm.schema_support import SUPPORTS, WORDS, Treatment

SOURCE = "prompt_hub/llm/schema_support.py"
_CELLS = {
    Treatment.KEPT: "kept",
    Treatment.IGNORED: "ignored",
    Treatment.SHOWN: "shown",
    Treatment.TOLD: "told",
    Treatment.LOOSE: "not strict",
}


def tables() -> str:
    """Write the table of words, and under it the formats and the sources."""
    lines = [
        _row("word", (support.name for support in SUPPORTS)),
        _row("---", ("---" for _ in SUPPORTS)),
        *(
            _row(words, (_CELLS[support.treatment(name)] for support in SUPPORTS))
            for name, words in WORDS.items()
        ),
        "",
        _row("provider", ("formats", "objects, properties", "source")),
        _row("---", ("---", "---", "---")),
    ]
    for support in SUPPORTS:
        formats = ", ".join(f"`{name}`" for name in sorted(support.formats)) or "none"
        limits = f"{support.levels} deep, {support.properties}" if support.strict else "no limit"
        lines.append(_row(support.name, (formats, limits, support.source)))
    return "\n".join(lines)


def _row(head: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join([head, *cells])} |"


if __name__ == "__main__":
    rewrite(SOURCE, tables())
