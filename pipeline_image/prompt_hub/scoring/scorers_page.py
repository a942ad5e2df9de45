"""The generated part of `docs/scorers.md`: the table of all types.

`make docs` brings the page up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prompt_hub.core.generated_page import replace_generated_part
from prompt_hub.scoring.registry import SCORER_TYPES

SOURCE = "prompt_hub/scoring/scorers"


def table() -> str:
    """Write a row for each type, which links to its section."""
    lines = [
        "| type | what is right | calls of a model for an example |",
        "|---|---|---|",
        *(
            f"| [`{name}`](#{name}) | {kind.right} | {kind.calls} |"
            for name, kind in SCORER_TYPES.items()
        ),
    ]
    return "\n".join(lines)


def up_to_date(page: str) -> str:
    """Return `page` with its generated part as the code has it now."""
    return replace_generated_part(page, SOURCE, table())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(up_to_date(path.read_text(encoding="utf-8")), encoding="utf-8")
