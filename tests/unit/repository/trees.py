"""A tree before and after a set of changes."""

from __future__ import annotations

from pathlib import Path

OLD = {"a.txt": "old a", "sub/b.txt": "old b", "gone.txt": "old c"}
CHANGES = {"a.txt": "new a", "sub/b.txt": "new b", "fresh/deep/d.txt": "new d", "gone.txt": None}
NEW = {"a.txt": "new a", "sub/b.txt": "new b", "fresh/deep/d.txt": "new d"}


def contents(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file() and ".prompt-hub" not in path.relative_to(root).parts
    }


def make(root: Path) -> Path:
    for name, text in OLD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root
