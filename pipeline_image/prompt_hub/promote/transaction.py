"""Several files change together or not at all, whatever interrupts the write.

The new contents are first written below `.prompt-hub/transaction`, then named in a journal whose
appearance is the commit point, then moved into place. `recover` finishes a journalled transaction
and throws away one that never reached its journal.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(".prompt-hub") / "transaction"
_JOURNAL = "journal.json"

Changes = Mapping[str, str | None]
"""New text by path relative to the repository's root; None removes the file."""


def apply(root: Path, changes: Changes) -> None:
    """Make all `changes` below `root`, or none if interrupted before the commit point."""
    recover(root)
    folder = root / FOLDER
    folder.mkdir(parents=True)
    journal: dict[str, str | None] = {}
    for number, (path, text) in enumerate(sorted(changes.items())):
        if text is None:
            journal[path] = None
            continue
        staged = f"{number}.new"
        _write_durably(folder / staged, text)
        journal[path] = staged
    _write_durably(folder / "journal.tmp", json.dumps(journal))
    (folder / "journal.tmp").replace(folder / _JOURNAL)
    _sync_folder(folder)
    _finish(root)


def recover(root: Path) -> bool:
    """Clear an interrupted transaction; returns whether one was finished."""
    folder = root / FOLDER
    if (folder / _JOURNAL).exists():
        _finish(root)
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _finish(root: Path) -> None:
    folder = root / FOLDER
    journal: dict[str, str | None] = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
    for path, staged in journal.items():
        target = root / path
        if staged is None:
            target.unlink(missing_ok=True)
        elif (folder / staged).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / staged).replace(target)
    shutil.rmtree(folder)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
