"""The tree before a piece of work, ready to run: performance is a ratio against it, in one run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.eval.measuring import MeasurementError
from benchmarks.results import one_at_a_time

ROOT = Path(__file__).resolve().parent.parent
BEFORE_PERFORMANCE = "d16a857a38"
"""The last commit before the work on waiting times began."""
BEFORE_TESTED_ONCE = "887e8e86a6"
"""The last commit whose every execution tested code that had passed its tests (decision 1007)."""


@dataclass(frozen=True, kw_only=True)
class EarlierTree:
    """A checkout of another commit, with what `make setup` installs."""

    path: Path
    python: Path
    """The interpreter of its own virtual environment."""


@contextmanager
def earlier_tree(commit: str = BEFORE_PERFORMANCE) -> Iterator[EarlierTree]:
    """Yield the tree at `commit`, a git worktree in `.local/bench-earlier`, kept for the next run.

    Raises:
        MeasurementError: the commit is not in this clone, or its set-up failed.
    """
    path = ROOT / ".local" / "bench-earlier" / commit
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path.parent):
        if not (path / "Makefile").exists():
            print(f"git worktree of {commit} in {path.relative_to(ROOT)}", flush=True)
            _run(["git", "-C", str(ROOT), "worktree", "prune"])
            _run(["git", "-C", str(ROOT), "worktree", "add", "--detach", str(path), commit])
        _run(["make", "-C", str(path), "setup", f"PYTHON={sys.executable}"])
    yield EarlierTree(path=path, python=path / ".venv" / "bin" / "python")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise MeasurementError(
            f"the earlier tree could not be made: {' '.join(command[:5])} ended with"
            f" {done.returncode}: {last[0]} (a shallow clone: git fetch --unshallow)"
        )
