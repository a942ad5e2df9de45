"""Evaluate one task in a process of its own, and print how often it opened each file of it.

Run as `python -m tests.unit.evaluation.count_reads ROOT TASK`: an audit hook stays until its
process ends.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

from tests.unit.building import RepositoryFolder
from tests.unit.judging import evaluate, provider, sensible


def count(folder: RepositoryFolder, task: str) -> Counter[str]:
    """How often an evaluation of `task` opens each file of the repository for reading."""
    opened: Counter[str] = Counter()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path = Path(arguments[0])
            if path.is_relative_to(folder.root) and ".prompt-hub" not in path.parts:
                opened[path.relative_to(folder.root).as_posix()] += 1

    sys.addaudithook(hook)
    record = evaluate(folder, provider(sensible), task)
    assert record.verdict.promotes, record.verdict
    return Counter(opened)


if __name__ == "__main__":
    print(json.dumps(count(RepositoryFolder(Path(sys.argv[1])), sys.argv[2])))
