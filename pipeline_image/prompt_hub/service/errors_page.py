"""The generated part of `docs/http-api.md`: the table of errors.

`make docs` brings the page up to date.
"""

from __future__ import annotations

from prompt_hub.core.generated_page import rewrite
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


if __name__ == "__main__":
    rewrite(SOURCE, table())
