"""The little that is asked of git outside promotion."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from prompt_hub.core.errors import PromptHubError

UNKNOWN_COMMIT = "0" * 40


def head_commit(root: Path) -> str:
    """Return the commit of the tree in `root`, by CodeBuild or git; all zeros if unknown."""
    resolved = os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION", "")
    if len(resolved) == 40:
        return resolved
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN_COMMIT


def run_git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root`, whatever it answers; raises `PromptHubError` where it does not run."""
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except OSError as error:
        raise PromptHubError(f"git does not run: {error}.") from error


def listed_files(root: Path) -> tuple[str, ...]:
    """Return every file that git tracks below `root`, or would track: not what it ignores.

    Raises:
        PromptHubError: git does not run, or `root` is no work tree.
    """
    done = run_git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if done.returncode != 0:
        raise PromptHubError(f"git cannot list the files of {root}: {os.fsdecode(done.stderr)}")
    names = {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
    return tuple(sorted(names))
