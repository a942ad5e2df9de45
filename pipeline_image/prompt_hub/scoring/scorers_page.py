"""The generated part of `docs/scorers.md`: the table of all types.

`make docs` brings the page up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prompt_hub.scoring.registry import SCORER_TYPES

BEGIN = "<!-- generated from prompt_hub/scoring/scorers: do not edit -->"
END = "<!-- end of the generated part -->"


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
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(up_to_date(path.read_text(encoding="utf-8")), encoding="utf-8")
