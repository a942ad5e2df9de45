"""Whose tree is tested: ours as it is shipped, or a user's, whose prompts are their own."""

from __future__ import annotations

import json
from pathlib import Path

SETTINGS = "prompt-hub"


def is_shipped(root: Path) -> bool:
    """Whether `cdk.json` names the repository of the example; a user's names their own."""
    try:
        example = json.loads((root / "docs" / "example_context.json").read_text(encoding="utf-8"))
        settings = json.loads((root / "cdk.json").read_text(encoding="utf-8"))["context"][SETTINGS]
        named = settings["repository"]
    except (OSError, ValueError, KeyError, TypeError):
        return True  # What is wrong with it is for the tests to say.
    return bool(named == example[SETTINGS]["repository"])
