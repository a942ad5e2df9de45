"""Set-up before anything is installed: checks the machine, makes `.venv` and `node_modules`.

Runs on the system's Python with the standard library alone. A second run finds its stamp and does
nothing. With `--browser` it sees to a browser instead, which only the tests of pages need.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
INSTALLER = "requirements-install.lock"
"""Pins uv, which installs all the rest, with its hashes; pip installs it."""
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
"""The first is Chromium without its own windows, in a smaller package."""


def main() -> int:
    """Prepare the machine; returns 0, or 2 after one sentence that says what is missing."""
    if sys.argv[1:] == ["--browser"]:
        return _browser()
    missing = _missing()
    if missing:
        print(f"setup: {missing}", file=sys.stderr)
        return 2
    python = VENV / "bin" / "python"
    with (ROOT / "Makefile").open("rb") as checkout:
        # Two at once would tear down what the other has just made.
        fcntl.flock(checkout, fcntl.LOCK_EX)
        _install(python)
    return 0


def _install(python: Path) -> None:
    uv = [str(python), "local_aws/pip_settings.py", "pip"]
    # What builds the package is locked and installed by then; nothing else is fetched.
    ours = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", "."]
    packages = (
        "python packages",
        VENV / ".stamp",
        ["pyproject.toml", "requirements-install.lock", "requirements-dev.lock"],
        [
            [sys.executable, "local_aws/venvs.py", str(VENV)],
            [str(python), "-m", "pip", "--disable-pip-version-check", *_locked(INSTALLER)],
            [*uv, *_locked("requirements-dev.lock")],
            [*uv, *ours],
            [sys.executable, "local_aws/compiled_modules.py"],
        ],
    )
    command_line = (
        "CDK command line",
        ROOT / "node_modules" / ".stamp",
        ["package.json", "package-lock.json"],
        [["npm", "ci", "--include=dev", "--no-fund", "--no-audit", "--loglevel=error"]],
    )
    # Neither needs the other, and each mostly waits for disk and network.
    with ThreadPoolExecutor(2) as both:
        for made in [both.submit(_once, *what) for what in (packages, command_line)]:
            made.result()


def _locked(lock: str) -> list[str]:
    """Return the words with which pip and uv install `lock`: wheels with these hashes, or none."""
    only_wheels = ["--require-hashes", "--only-binary", ":all:"]
    return ["install", "--quiet", *only_wheels, "--requirement", lock]


def _missing() -> str | None:
    """One sentence about the first thing this machine lacks, None if it lacks nothing."""
    if sys.version_info < MINIMUM_PYTHON:
        this = sys.version.split()[0]
        return (
            f"Python 3.11 or newer is needed, this is {this}; install it, or name one that is"
            " there (make PYTHON=python3.12 up)."
        )
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        return "Python has no venv module; install it (on Debian: apt-get install python3-venv)."
    for tool in ("git", "node", "npm"):
        if shutil.which(tool) is None:
            return f"{tool} is not on the PATH; install {'Node.js 22' if tool != 'git' else 'git'}."
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)", version.stdout)
    if found is None or int(found[1]) < MINIMUM_NODE:
        return f"Node.js {MINIMUM_NODE} or newer is needed, this is {version.stdout.strip()}."
    return None


def _browser() -> int:
    """See to a browser for tests/browser: find it, install it where that is ours to do, or ask."""
    named = os.environ.get("PROMPT_HUB_BROWSER")
    if any(shutil.which(name) for name in ([named] if named else BROWSERS)):
        return 0
    if named or os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"setup: the browser {named or 'Chromium'} is not on the PATH; install it (on Debian:"
            " apt-get install -y chromium-headless-shell) or name another one in"
            " PROMPT_HUB_BROWSER.",
            file=sys.stderr,
        )
        return 2
    # The packages of a fresh image may be older than their list; without one none is found.
    install = "apt-get -qq -y --no-install-recommends install fonts-dejavu-core"
    # Not every distribution has the smaller package.
    either = f"{install} chromium-headless-shell || {install} chromium"
    _run(
        "Chromium",
        [["apt-get", "-qq", "update"], ["sh", "-c", either]],
        "DEBIAN_FRONTEND=noninteractive",
    )
    return 0


def _once(what: str, stamp: Path, inputs: Sequence[str], commands: Sequence[Sequence[str]]) -> None:
    """Run `commands` unless `stamp` says that they ran for the same `inputs`."""
    digest = hashlib.sha256()
    for name in inputs:
        digest.update((ROOT / name).read_bytes())
    # Scripts name their interpreter by its whole path: a checkout that was moved has none.
    digest.update(f"{sys.version} {ROOT}".encode())
    wanted = digest.hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    _run(what, commands, "PIP_NO_INPUT=1")
    stamp.write_text(wanted, encoding="utf-8")


def _run(what: str, commands: Sequence[Sequence[str]], setting: str) -> None:
    """Run `commands` quietly; a failing one ends the set-up with its last lines."""
    name, _, value = setting.partition("=")
    print(f"setup: {what} ...", flush=True)
    started = time.monotonic()
    for command in commands:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, name: value},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
            print(
                f"{tail}\nsetup: {what} failed at `{' '.join(command)}`; see the lines above,"
                " then run `make setup` again.",
                file=sys.stderr,
            )
            raise SystemExit(2)
    print(f"setup: {what} ready after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
