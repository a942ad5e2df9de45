"""The generated part of `docs/http-api.md`: the table of errors.

`make docs` brings the page up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prompt_hub.core.generated_page import replace_generated_part
from prompt_hub.service.errors import ErrorCode

SOURCE = "prompt_hub/service/errors.py"


def table() -> str:
    """Every error, one row for each code, in the order of the table in the code."""
    rows = [
        f"| `{code}` | {code.status} | {code.fault} | {'yes' if code.retry else 'no'}"
        f" | {code.meaning} |"
        for code in ErrorCode
    ]
    head = ["| code | HTTP | who mends it | try again | what happened |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def up_to_date(page: str) -> str:
    """Return `page` with its generated part as the code has it now."""
    return replace_generated_part(page, SOURCE, table())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(up_to_date(path.read_text(encoding="utf-8")), encoding="utf-8")
