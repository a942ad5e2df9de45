"""The command in a process of its own, which a test can kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start_command(
    words: Sequence[str], *, root: Path, models: str, folder: Path
) -> subprocess.Popen[bytes]:
    """Start `prompt-hub` on the repository in `root`, with these models, from `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "prompt_hub.cli", *words],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "pipeline_image"),
            "PROMPT_HUB_ROOT": str(root),
            "PROMPT_HUB_MODELS": models,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
