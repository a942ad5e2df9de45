"""Write what a change does to permissions as a pull request's comment.

`python -m docs.permissions_comment OLD NEW --to FILE`, each a folder that `cdk synth` wrote. That
there is a difference is no failure: people decide. It is said as a warning of GitHub's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from docs.permissions_page import PermissionsError, difference
from docs.synthesised import AssemblyError, read_resources
from prompt_hub.reporting.markdown import fenced

LONGEST = 20_000
"""Characters: GitHub takes 65,536, and what was evaluated stands in the same comment."""


def permissions_comment(changes: Sequence[str]) -> str:
    """Return the difference as Markdown; what is too long is counted."""
    if not changes:
        return "## Permissions\n\nNobody may do more or less than before.\n"
    come = sum(line.startswith("+") for line in changes)
    shown: list[str] = []
    length = 0
    for line in changes:
        length += len(line) + 1
        if length > LONGEST:
            break
        shown.append(line)
    lines = [
        "## Permissions",
        "",
        f"{come} come (`+`), {len(changes) - come} go (`-`):",
        "",
        *fenced("\n".join(shown), "diff"),
    ]
    if len(shown) < len(changes):
        rest = len(changes) - len(shown)
        lines += ["", f"… and {rest} more: `python -m docs.permissions_page --diff OLD NEW`"]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write the comment; the exit code is 2 where a folder cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m docs.permissions_comment", description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        changes = difference(read_resources(options.old), read_resources(options.new))
    except (AssemblyError, PermissionsError) as error:
        parser.exit(2, f"{error}\n")
    options.to.write_text(permissions_comment(changes), encoding="utf-8")
    if changes:
        print(f"::warning title=permissions::This changes {len(changes)} permissions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
