"""The stuck states of `docs/operations.md`, read from there, and who shows each."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECTION = r"^## A deployment that is stuck\n(.*?)^## "
_COMMAND = re.compile(
    r"`(?P<command>(?:aws|make) [^`]+)`|(?P<retry>\bthe retry\b)|as for (?P<like>[A-Z_]+)"
)

CASES = {
    "unapproved connection": "`Source` is red",
    "first creation by hand": "`make deploy` ended",
    "first creation in a stage": "`.Prepare` is red",
    "change set never executed": "the stack is in REVIEW_IN_PROGRESS",
    "update taken back": "`.Deploy` is red, the stack is in UPDATE_ROLLBACK_COMPLETE",
    "update not taken back": "UPDATE_ROLLBACK_FAILED",
    "cannot be deleted": "ROLLBACK_FAILED or DELETE_FAILED",
    "pipeline cannot change itself": "`SelfMutate` is red",
    "older pipeline": '"the pipeline has changed since"',
    "nobody decided": "`Approve` is red",
    "transition switched off": "an execution stands before a stage",
}
"""What a test calls each state, and how the page's row begins."""

OTHERWISE = {"nobody decided": "Nobody waits seven days here: a person refuses, which ends as red."}
"""States that are reached here in another way than on AWS; docs/testing.md says so, too."""


def section() -> str:
    """Return the page's section about what is stuck."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (found,) = re.findall(_SECTION, page, re.M | re.S)
    return str(found)


def rows() -> dict[str, str]:
    """Return what one sees, and the way out of it, in the page's order."""
    cells = [
        re.split(r"(?<!\\)\|", line)[1:-1] for line in section().splitlines() if line[:1] == "|"
    ]
    return {see.strip(): out.strip() for see, _, out in cells[2:]}


def the_retry() -> str:
    """Return the one command that the page calls the retry."""
    (block,) = re.findall(
        r"^    (aws codepipeline retry-stage-execution.*?)\n\n", section(), re.M | re.S
    )
    return re.sub(r"\\\n\s+", "", block)


def way_out(case: str) -> str:
    """Return what the page says of the way out of a state."""
    (found,) = (out for see, out in rows().items() if see.startswith(CASES[case]))
    return found


def commands(text: str) -> list[str]:
    """Return the commands that a way out names, in order, the retry and other rows in full."""
    found: list[str] = []
    for match in _COMMAND.finditer(text):
        if match["command"]:
            found.append(match["command"])
        elif match["retry"]:
            found.append(the_retry())
        elif match["like"]:
            (other,) = (
                out
                for see, out in rows().items()
                if see.startswith("`.Prepare`") and match["like"] in see
            )
            found += commands(other)
    return found
