"""What a person's shell sources to work on the local AWS."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def shell_lines(values: Mapping[str, str], programs: Path) -> str:
    """Return lines that export `values` and find `programs` first; no profile counts any more."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join(
        [
            "# Made by `make up`. Source it: prompt-hub and aws then work on the local AWS.",
            "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN",
            *exports,
            f'export PATH={shlex.quote(str(programs))}:"$PATH"',
            'export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"',
            'export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"',
            "",
        ]
    )
