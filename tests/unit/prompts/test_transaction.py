"""Several files change together or not at all, wherever the write is cut off."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prompt_hub.prompts.transaction import FOLDER, apply, recover

OLD = {"a.txt": "old a", "sub/b.txt": "old b", "gone.txt": "old c"}
CHANGES = {"a.txt": "new a", "sub/b.txt": "new b", "fresh/d.txt": "new d", "gone.txt": None}
NEW = {"a.txt": "new a", "sub/b.txt": "new b", "fresh/d.txt": "new d"}


class Cut(BaseException):
    """Stands for the power cut, the kill, the Ctrl-C."""


def contents(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file() and FOLDER not in path.relative_to(root).parents
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in OLD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_all_changes_are_made_and_nothing_else_is_left(root: Path) -> None:
    apply(root, CHANGES)
    assert contents(root) == NEW
    assert not (root / FOLDER).exists()


@pytest.mark.parametrize("cut_at", range(40))
def test_any_interruption_leaves_the_old_state_or_the_new_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    """Interrupts before the n-th call that touches the disk, then recovers as the next run does."""
    count = 0

    def counted(name: str, owner: object) -> None:
        real = getattr(owner, name)

        def step(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count > cut_at:
                raise Cut
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, step)

    with monkeypatch.context() as patched:
        for name, owner in (
            ("replace", Path),
            ("unlink", Path),
            ("open", Path),
            ("mkdir", Path),
            ("fsync", os),
            ("rmdir", os),
        ):
            monkeypatch = patched
            counted(name, owner)
        try:
            apply(root, CHANGES)
            finished = True
        except Cut:
            finished = False
    recover(root)
    assert contents(root) in (OLD, NEW)
    if finished:
        assert contents(root) == NEW
    assert not (root / FOLDER).exists()
