"""A folder that is read once and written for every test that wants one of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class KeptFolder:
    """The folders and files below a root, by their paths from there.

    A quarter of the work of `shutil.copytree`, which reads the same files, their attributes and
    their times for each of a thousand tests.
    """

    folders: tuple[str, ...]
    files: tuple[tuple[str, bytes, int], ...]

    @classmethod
    def read(cls, root: Path) -> KeptFolder:
        paths = sorted(root.rglob("*"))
        assert not [path for path in paths if path.is_symlink()], "a link would become a file"
        return cls(
            tuple(str(path.relative_to(root)) for path in paths if path.is_dir()),
            tuple(
                (str(path.relative_to(root)), path.read_bytes(), path.stat().st_mode & 0o777)
                for path in paths
                if path.is_file()
            ),
        )

    def write(
        self, root: Path, change: Callable[[str, bytes], bytes] = lambda name, content: content
    ) -> Path:
        """Write it all to `root`, which may be there; `change` has the last word on a content."""
        root.mkdir(parents=True, exist_ok=True)
        for folder in self.folders:
            os.mkdir(f"{root}/{folder}")  # noqa: PTH102  # a Path costs as much as the folder
        for name, content, mode in self.files:
            file = os.open(f"{root}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(file, "wb") as stream:
                stream.write(change(name, content))
        return root
