"""What the user has told pip about package indexes, as variables that uv reads.

uv knows nothing of pip's configuration: whoever reaches packages through a mirror that only
`pip.conf` names would otherwise be asked to say it twice. Standard library alone: set-up runs this
before anything else is installed.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

_SEPARATED_BY = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
"""Setting of pip: variable of uv, and what stands there between several values."""

_SECTIONS = ("global", "install", ":env:")
"""Sections of pip's configuration that hold for an install; a later one wins."""


def for_uv(python: str) -> dict[str, str]:
    """Return variables that make uv look where the pip of the interpreter `python` looks.

    A variable that the user has set is left out: uv's own setting goes before pip's.
    """
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        name: value
        for name, value in translate(done.stdout).items()
        if name not in os.environ and name.lower() not in os.environ
    }


def translate(listing: str) -> dict[str, str]:
    """Translate what `pip config list` prints."""
    settings: dict[str, str] = {}
    for section in _SECTIONS:
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                settings[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    variables = {
        variable: separator.join(settings[name].split())
        for name, (variable, separator) in _SEPARATED_BY.items()
        if name in settings
    }
    if "UV_INDEX" in variables:
        # pip takes the fitting file of any index; hashes decide whether it is the right one.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        variables["UV_OFFLINE"] = "1"
    return _without_empty(variables)


def _without_empty(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value}


if __name__ == "__main__":
    command = [sys.executable, "-m", "uv", *sys.argv[1:]]
    environment = {**os.environ, **for_uv(sys.executable)}
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)
