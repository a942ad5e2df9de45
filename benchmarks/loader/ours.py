"""Our side: `Prompts`, following a ledger that lies in memory, with the record's contract held."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.loader.timing import measure
from prompt_hub.ledger.items import Deployed, Pointer
from prompt_hub.loader import Prompts
from prompt_hub.release.manifest import load


class MemoryLedger:
    """Points to the champions of a folder."""

    def __init__(self, root: Path) -> None:
        release = load(root)
        self._pointers = {
            task: Pointer(
                task=task,
                active=champion,
                previous=None,
                frozen=False,
                revision=1,
                changed_by="benchmark",
                reason="",
                at=release.reference.made_at,
                release=release.reference,
            )
            for task, champion in release.champions().items()
        }

    def revision(self) -> int:
        """Return number of changes so far."""
        return 1

    def pointers(self) -> dict[str, Pointer]:
        """Return what is active for each task."""
        return self._pointers

    def deployed(self) -> Deployed | None:
        """Return nothing: no release was activated here."""
        return None


def main() -> None:
    """Measure the task and the records that standard input names."""
    asked = json.load(sys.stdin)
    root = Path(asked["root"])
    with Prompts("benchmark", root=root, connect=lambda: MemoryLedger(root)) as prompts:
        task = asked["task"]
        first = prompts[task].render(asked["records"][0])
        assert first == asked["messages"], "all sides must make the same messages"
        print(measure(lambda record: prompts[task].render({**record}), asked["records"]))


if __name__ == "__main__":
    main()
