"""The watch on a repository: every move of a branch is told once, and idle rounds ask no git."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from local_aws import source
from local_aws.source import Push, Watcher

Commit = Callable[[str], str]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    where = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(where)], check=True)
    return where


@pytest.fixture
def commit(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Commit:
    """Make an empty commit in the repository; it returns its id."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.com")

    def make(message: str) -> str:
        tree = source.git(bare, "hash-object", "-t", "tree", "-w", "/dev/null").strip()
        return source.git(bare, "commit-tree", tree, "-m", message).strip()

    return make


@pytest.fixture
def pushes(bare: Path) -> Iterator[list[Push]]:
    """Pushes that a running watcher has told of; it watches a repository without branches."""
    told: list[Push] = []
    watcher = Watcher({"owner/name": bare}, {}, told.append, nullcontext())
    watcher.start()
    yield told
    watcher.stop()


def until(told: list[Push], count: int) -> None:
    deadline = time.monotonic() + 20
    while len(told) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(told) == count


def test_every_way_a_branch_moves_is_told_once(
    bare: Path, commit: Commit, pushes: list[Push]
) -> None:
    first, second, third = commit("one"), commit("two"), commit("three")
    source.git(bare, "update-ref", "refs/heads/main", first)
    until(pushes, 1)
    source.git(bare, "update-ref", "refs/heads/main", second)
    until(pushes, 2)
    source.git(bare, "pack-refs", "--all")
    source.git(bare, "update-ref", "refs/heads/feature/deep", first)
    until(pushes, 3)
    source.git(bare, "update-ref", "refs/heads/main", third)
    until(pushes, 4)

    assert [(push.branch, push.before, push.after) for push in pushes] == [
        ("main", None, first),
        ("main", first, second),
        ("feature/deep", None, first),
        ("main", second, third),
    ]


def test_the_stamp_changes_with_every_branch_and_with_nothing_else(
    bare: Path, commit: Commit
) -> None:
    first, second = commit("one"), commit("two")
    source.git(bare, "update-ref", "refs/heads/main", first)
    seen = [source.stamp_of(bare)]
    for arguments in (
        ("update-ref", "refs/heads/main", second),
        ("update-ref", "refs/heads/a/b", second),
        ("pack-refs", "--all"),
        ("update-ref", "-d", "refs/heads/a/b"),
    ):
        source.git(bare, *arguments)
        seen.append(source.stamp_of(bare))
    assert len(set(seen)) == len(seen)

    commit("three, which no branch has")
    source.git(bare, "update-ref", "refs/tags/released", first)
    assert source.stamp_of(bare) == seen[-1]


def test_rounds_in_which_no_branch_moved_start_no_process(
    bare: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.git(bare, "update-ref", "refs/heads/main", commit("one"))
    asked: list[Path] = []
    real = source.heads

    def counted(where: Path) -> dict[str, str]:
        asked.append(where)
        return real(where)

    monkeypatch.setattr(source, "heads", counted)
    watcher = Watcher({"owner/name": bare}, {}, lambda push: None, nullcontext())
    watcher.start()
    time.sleep(5 * source.POLL_SECONDS)
    watcher.stop()

    assert asked == [bare]


def test_a_folder_that_has_become_a_file_ends_no_watch(bare: Path, commit: Commit) -> None:
    # As `one/two` has where a branch `one` comes in its place between two looks at the disk.
    (bare / "reftable").touch()
    before = source.stamp_of(bare)
    source.git(bare, "update-ref", "refs/heads/main", commit("one"))
    assert source.stamp_of(bare) != before
