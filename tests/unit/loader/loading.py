"""What the tests of the loader share: prompts that follow a ledger in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from prompt_hub.ledger.items import VersionRef
from prompt_hub.loader import Prompts
from prompt_hub.release.manifest import load
from tests.unit.ledger.fake_dynamodb import FakeLedger

TASK = "part-class"
SOON = 10.0
"""Seconds within which anything must have happened, on a busy machine."""


def reference(root: Path, version: str, task: str = TASK) -> VersionRef:
    carried = load(root).tasks[task].version(version)
    assert carried is not None
    return carried.reference


def follow(root: Path, ledger: FakeLedger, *, snapshot_after: float = 60.0) -> Prompts:
    return Prompts(
        "prod", root=root, poll_seconds=0.01, snapshot_after=snapshot_after, connect=lambda: ledger
    )


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def following() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prompt-hub-pointers"]
