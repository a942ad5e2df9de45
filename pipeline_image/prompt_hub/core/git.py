"""The little that is asked of git outside promotion."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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
