"""What every implementation of `Objects` keeps; each is held to it by a test of its own tier."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prompt_hub.batch.objects import Objects

Check = Callable[[Objects, Path], None]


def what_is_not_there_is_said_so(objects: Objects, folder: Path) -> None:
    assert objects.read("runs/none") is None
    assert not objects.fetch("runs/none", folder / "none")
    assert not (folder / "none").exists()
    assert list(objects.keys("runs/none")) == []


def what_was_written_is_read(objects: Objects, folder: Path) -> None:
    objects.write("written/a.json", b"one")
    objects.write("written/a.json", b"two")
    assert objects.read("written/a.json") == b"two"
    path = folder / "a.json"
    path.write_bytes(b"of before, and longer")
    assert objects.fetch("written/a.json", path)
    assert path.read_bytes() == b"two"


def a_large_file_comes_back_as_it_was(objects: Objects, folder: Path) -> None:
    path, again = folder / "large", folder / "again"
    path.write_bytes(bytes(range(256)) * (80 << 10))  # 20 MiB: in parts, on S3
    objects.put("large/file", path)
    assert objects.fetch("large/file", again)
    assert again.read_bytes() == path.read_bytes()
    path.write_bytes(b"")
    objects.put("large/file", path)
    assert objects.read("large/file") == b""


def one_of_many_creates(objects: Objects, folder: Path) -> None:
    paths = [folder / f"{number}" for number in range(8)]
    for path in paths:
        path.write_text(path.name)
    with ThreadPoolExecutor(len(paths)) as pool:
        created = list(pool.map(lambda path: objects.create("created/out", path), paths))
    assert created.count(True) == 1
    assert objects.read("created/out") == paths[created.index(True)].read_bytes()
    assert not objects.create("created/out", paths[0])


def keys_are_those_of_a_prefix_in_their_order(objects: Objects, folder: Path) -> None:
    for name in ("b/2", "b/1", "b/10", "ba/1", "c"):
        objects.write(f"keys/{name}", b"")
    assert list(objects.keys("keys/b/")) == ["keys/b/1", "keys/b/10", "keys/b/2"]
    assert list(objects.keys("keys/b")) == ["keys/b/1", "keys/b/10", "keys/b/2", "keys/ba/1"]
    assert list(objects.keys("keys/c")) == ["keys/c"]


CHECKS: tuple[Check, ...] = (
    what_is_not_there_is_said_so,
    what_was_written_is_read,
    a_large_file_comes_back_as_it_was,
    one_of_many_creates,
    keys_are_those_of_a_prefix_in_their_order,
)
