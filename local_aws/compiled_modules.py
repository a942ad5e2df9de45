"""Modules that Python has compiled once, for the next checkout or environment that has the same.

Python knows by a file's time whether it has compiled it, so each build would compile all that it
imports: its checkout is new, and so may its environment be. `python local_aws/compiled_modules.py`
does for the environment of a git worktree what builds have done for theirs. The standard library
alone: set-up runs that.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VENV = ".venv"
"""The environment of a checkout."""

PACKAGES = "lib/python*/site-packages"
"""Where a virtual environment has what is installed."""

_CACHE = "__pycache__"
_CHECKED_HASH = (0b11).to_bytes(4, "little")
"""What a compiled module's header says of itself before the hash of its source."""


def lend(kept: Path, tree: Path) -> None:
    """Put what `kept` has of the modules of `tree` where Python looks for it.

    Kept modules name the hash of their source (PEP 552): Python compares it on import, and compiles
    what has changed. Where a checkout brings something else in their place, nothing is lent, and
    nothing is written through its links.
    """
    root = os.path.realpath(tree)
    for module in _compiled(kept):
        own = tree / module.relative_to(kept)
        if not own.parents[1].is_dir():  # a folder without modules would be taken for a package
            continue
        with suppress(OSError):
            if Path(os.path.realpath(own.parent)).is_relative_to(root):
                own.parent.mkdir(exist_ok=True)
                own.unlink(missing_ok=True)
                shutil.copyfile(module, own)


def keep(kept: Path, tree: Path) -> None:
    """Keep what Python has compiled of `tree` and `kept` has not."""
    for module in _compiled(tree):
        ours = kept / module.relative_to(tree)
        # A source that is gone, or that does not compile, is nothing to keep.
        with suppress(OSError, py_compile.PyCompileError):
            source = _source_of(module)
            if not _is_of(ours, source.read_bytes()):
                mode = py_compile.PycInvalidationMode.CHECKED_HASH
                ours.parent.mkdir(parents=True, exist_ok=True)
                py_compile.compile(str(source), str(ours), doraise=True, invalidation_mode=mode)


def share(packages: Path, others: Path) -> None:
    """Put what is compiled of `packages` beside the same files in `others`.

    The same are links of one file, as uv installs them from its cache: what Python compares, time
    and size, is then the same, too.
    """
    for module in _compiled(packages):
        other = others / module.relative_to(packages)
        with suppress(OSError):
            if _source_of(module).samefile(_source_of(other)):
                other.parent.mkdir(exist_ok=True)
                other.hardlink_to(module)


def share_in_worktree(checkout: Path) -> None:
    """Begin the environment of a git worktree with what that of its repository has compiled.

    Where `checkout` is a repository of its own, as most are, nothing is done.
    """
    link = checkout / ".git"
    if not link.is_file():
        return
    # git writes where it keeps what is the worktree's own: REPOSITORY/.git/worktrees/NAME.
    own = checkout / link.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    for repository in own.parents[2:3]:
        for theirs in (repository / VENV).glob(PACKAGES):
            for ours in (checkout / VENV).glob(PACKAGES):
                share(theirs, ours)


def _is_of(module: Path, source: bytes) -> bool:
    wanted = importlib.util.MAGIC_NUMBER + _CHECKED_HASH + importlib.util.source_hash(source)
    try:
        with module.open("rb") as file:
            return file.read(len(wanted)) == wanted
    except FileNotFoundError:
        return False


def _source_of(module: Path) -> Path:
    return module.parents[1] / f"{module.name.partition('.')[0]}.py"


def _compiled(tree: Path) -> Iterator[Path]:
    """Yield the modules below `tree` that this version of Python has compiled."""
    suffix = f".{sys.implementation.cache_tag}.pyc"
    for folder, _, names in os.walk(tree):
        if folder.endswith(_CACHE):
            yield from (Path(folder, name) for name in names if name.endswith(suffix))


if __name__ == "__main__":
    share_in_worktree(Path(__file__).resolve().parents[1])
