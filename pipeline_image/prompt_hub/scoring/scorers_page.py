"""The generated part of `docs/scorers.md`: the table of all types.

`make docs` brings the page up to date.
"""

from __future__ import annotations

from prompt_hub.core.generated_page import rewrite
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


if __name__ == "__main__":
    rewrite(SOURCE, table())
