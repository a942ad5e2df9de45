"""A checkout finds what Python compiled of an earlier one, if it is of its own source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local_aws.compiled_modules import keep, lend, share, share_in_worktree

TAG = sys.implementation.cache_tag


def checkout(where: Path, **modules: str) -> Path:
    """Write a package of `modules`, as new as a clone's files are."""
    for name, text in {"__init__": "", **modules}.items():
        path = where / "package" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        # No two checkouts are of the same second.
        os.utime(path, (1_000_000_000, 1_000_000_000 + len(str(where))))
    return where


def imported(tree: Path, *modules: str) -> str:
    """Import modules in a process of their own; return what they print."""
    lines = "; ".join(f"import package.{module}" for module in modules)
    environment = {key: value for key, value in os.environ.items() if "PYTHON" not in key}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env={**environment, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def compiled(tree: Path, module: str) -> Path:
    return tree / "package" / "__pycache__" / f"{module}.{TAG}.pyc"


def test_the_next_checkout_imports_what_the_first_one_compiled(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    first = checkout(tmp_path / "first", a="print('a')", b="print('b')")
    imported(first, "a")
    keep(kept, first)
    second = checkout(tmp_path / "the second", a="print('a')", b="print('b')")

    lend(kept, second)

    lent = compiled(second, "a").read_bytes()
    assert not compiled(second, "b").exists(), "nobody has imported it"
    assert imported(second, "a", "b") == "a\nb"
    assert compiled(second, "a").read_bytes() == lent, "it was compiled again"


def test_a_changed_source_is_compiled_and_kept_instead(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    imported(checkout(tmp_path / "first", a="print('old')"), "a")
    keep(kept, tmp_path / "first")
    second = checkout(tmp_path / "the second", a="print('new')")
    lend(kept, second)
    assert imported(second, "a") == "new"
    keep(kept, second)
    third = checkout(tmp_path / "the very third", a="print('new')")

    lend(kept, third)

    lent = compiled(third, "a").read_bytes()
    assert imported(third, "a") == "new"
    assert compiled(third, "a").read_bytes() == lent


def test_a_package_that_is_gone_stays_gone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    imported(checkout(tmp_path / "first", a=""), "a")
    keep(kept, tmp_path / "first")
    other = tmp_path / "other"
    other.mkdir()

    lend(kept, other)

    assert list(other.iterdir()) == []


def test_what_came_with_an_artifact_is_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    imported(checkout(tmp_path / "first", a="print('a')"), "a")
    keep(kept, tmp_path / "first")
    unpacked = checkout(tmp_path / "unpacked", a="print('a')")
    compiled(unpacked, "a").parent.mkdir()
    compiled(unpacked, "a").write_bytes(compiled(tmp_path / "first", "a").read_bytes())

    lend(kept, unpacked)

    assert compiled(unpacked, "a").read_bytes() == compiled(kept, "a").read_bytes()


def test_nothing_is_written_through_what_a_checkout_brings_along(tmp_path: Path) -> None:
    kept, outside = tmp_path / "kept", tmp_path / "outside"
    imported(checkout(tmp_path / "first", a="print('a')"), "a")
    keep(kept, tmp_path / "first")
    outside.mkdir()
    (outside / "precious").write_text("mine", encoding="utf-8")
    trees = [checkout(tmp_path / str(number), a="print('a')") for number in range(6)]
    caches = [compiled(tree, "a").parent for tree in trees]
    caches[0].mkdir()
    compiled(trees[0], "a").symlink_to(outside / "precious")
    caches[1].symlink_to(outside)
    caches[2].symlink_to(tmp_path / "nowhere")
    caches[3].write_text("a file", encoding="utf-8")
    compiled(trees[4], "a").mkdir(parents=True)
    caches[5].symlink_to(caches[5].name)

    for tree in trees:
        lend(kept, tree)

    assert [path.read_text("utf-8") for path in outside.iterdir()] == ["mine"]
    assert not (tmp_path / "nowhere").exists()
    assert {imported(tree, "a") for tree in trees} == {"a"}


def test_sources_that_are_gone_or_broken_are_no_trouble(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    tree = checkout(tmp_path / "tree", a="", b="", c="")
    imported(tree, "a", "b", "c")
    (tree / "package" / "a.py").unlink()
    (tree / "package" / "b.py").write_text("no python", encoding="utf-8")

    keep(kept, tree)
    keep(tmp_path / "nothing", tmp_path / "not there")

    assert sorted(path.name for path in kept.rglob("*.pyc")) == [
        f"__init__.{TAG}.pyc",
        f"c.{TAG}.pyc",
    ]


def test_an_environment_begins_with_what_another_has_compiled_of_the_same_files(
    tmp_path: Path,
) -> None:
    one = checkout(tmp_path / "one", a="print('a')", b="print('b')")
    imported(one, "a", "b")
    other = checkout(tmp_path / "other", b="print('B')")
    for name in ("__init__.py", "a.py"):
        (other / "package" / name).unlink(missing_ok=True)
        (other / "package" / name).hardlink_to(one / "package" / name)

    share(one, other)

    shared = compiled(other, "a").stat()
    assert not compiled(other, "b").exists(), "that is another file"
    assert imported(other, "a", "b") == "a\nB"
    assert compiled(other, "a").stat().st_ino == shared.st_ino, "it was compiled again"


def environment_of(root: Path) -> Path:
    """Where the environment of a checkout has its packages."""
    return root / ".venv" / "lib" / "python3" / "site-packages"


def test_a_worktree_begins_with_what_its_repository_has_compiled(tmp_path: Path) -> None:
    root, worktree = tmp_path / "repository", tmp_path / "elsewhere" / "worktree"
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-C", str(root)]
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(worktree)], check=True)
    imported(checkout(environment_of(root), a="print('a')"), "a")
    packages = environment_of(worktree) / "package"
    packages.mkdir(parents=True)
    (packages / "a.py").hardlink_to(environment_of(root) / "package" / "a.py")

    share_in_worktree(worktree)
    share_in_worktree(root)

    ours, theirs = (compiled(environment_of(each), "a") for each in (worktree, root))
    assert ours.samefile(theirs)
