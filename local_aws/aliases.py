"""Floating model names of the local model, and what stands behind each of them now."""

from __future__ import annotations

import json
import os
from pathlib import Path

from local_aws.weights import DEFAULT, LocalModelError

FLOATING = "catalogue-latest"
"""The alias behind which a provider may put another model."""
DEFAULT_ALIASES = {FLOATING: DEFAULT.name}


def aliases(state: Path) -> dict[str, str]:
    """Return what every floating name means now; the defaults until somebody changes one.

    Raises `LocalModelError` if the file that says so was broken by hand.
    """
    path = state / "aliases.json"
    try:
        changed: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        changed = {}
    except ValueError as error:
        raise LocalModelError(f"{path} is not JSON ({error}): mend or delete it.") from error
    return {**DEFAULT_ALIASES, **changed}


def set_alias(state: Path, name: str, target: str) -> None:
    """Let `name` mean the model `target` from the next request on."""
    state.mkdir(parents=True, exist_ok=True)
    partial = state / f"aliases.json.{os.getpid()}.partial"
    partial.write_text(json.dumps({**aliases(state), name: target}, indent=2), encoding="utf-8")
    partial.replace(state / "aliases.json")
