"""What IAM denied on the local AWS since it was started, or would have denied, for people."""

from __future__ import annotations

import json
from pathlib import Path

from local_aws.settings import PERMISSIONS_LOG


def denials(state: Path) -> list[str]:
    """Say each denial once, the newest last; `state` is the folder of the local AWS."""
    mode, sentences = _read(state)
    word = "would be denied" if mode == "audit" else "denied"
    return [f"{word}: {sentence}" for sentence in dict.fromkeys(sentences)]


def audit(state: Path) -> str:
    """Sum up in one sentence what an audit found; empty where IAM was not asked for one."""
    mode, sentences = _read(state)
    if mode != "audit":
        return ""
    calls = f"{len(sentences)} {'call' if len(sentences) == 1 else 'calls'}"
    kinds = f", {len(set(sentences))} different" if sentences else ""
    where = f": {state / PERMISSIONS_LOG}" if sentences else ""
    return f"permissions, audit: {calls} would be denied{kinds}{where}"


def _read(state: Path) -> tuple[str, list[str]]:
    """Return how IAM is asked, and the sentence of each call that it denied."""
    path = state / PERMISSIONS_LOG
    if not path.exists():
        return "off", []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    # The first line says how; a log of an older local AWS is not yet begun so.
    modes = [line["permissions"] for line in lines if "permissions" in line]
    return (
        modes[0] if modes else "enforce",
        [line["sentence"] for line in lines if "sentence" in line],
    )
