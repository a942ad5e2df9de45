"""Objects of runs: files by key, in a stage's records bucket or in a folder of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.files import atomic_write, explain_write_errors


class Objects(Protocol):
    """Files by key, each always whole. Keys have slashes, as in S3."""

    address: str
    """Where they are, for people: `s3://BUCKET`, or a folder."""

    def read(self, key: str) -> bytes | None:
        """Return what stands under `key`, None if there is nothing. For small objects."""

    def fetch(self, key: str, path: Path, version: str | None = None) -> bool:
        """Copy what stands under `key` into the file at `path`; False if there is nothing.

        `version` is the one of S3; a folder has the newest alone.
        """

    def write(self, key: str, content: bytes) -> None:
        """Store `content` under `key`, in place of what may be there."""

    def put(self, key: str, path: Path) -> None:
        """Store the file at `path` under `key`, in place of what may be there."""

    def create(self, key: str, path: Path) -> bool:
        """Store the file at `path` under `key` unless something is there; False if it is."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix`, in their order."""


class FolderObjects:
    """Objects in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder)

    def read(self, key: str) -> bytes | None:
        """Return what stands under `key`, None if there is nothing."""
        path = self._folder / key
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PromptHubError(f"{path} cannot be read: {error.strerror}.") from None

    def fetch(self, key: str, path: Path, version: str | None = None) -> bool:
        """Copy what stands under `key` into the file at `path`; False if there is nothing."""
        source = self._folder / key
        if not source.is_file():
            return False
        with explain_write_errors(path):
            shutil.copyfile(source, path)
        return True

    def write(self, key: str, content: bytes) -> None:
        """Store `content` under `key`, in place of what may be there."""
        path = self._place(key)
        with explain_write_errors(path), atomic_write(path) as stream:
            stream.write(content)

    def put(self, key: str, path: Path) -> None:
        """Store the file at `path` under `key`, in place of what may be there."""
        target = self._place(key)
        with explain_write_errors(target), path.open("rb") as source, atomic_write(target) as copy:
            shutil.copyfileobj(source, copy)

    def create(self, key: str, path: Path) -> bool:
        """Store the file at `path` under `key` unless something is there; False if it is."""
        target = self._place(key)
        # Threads of one process may try, too.
        fresh = target.with_name(f".{target.name}.{uuid4().hex}")
        with explain_write_errors(target):
            try:
                shutil.copyfile(path, fresh)
                # A name is given to one file only, whoever tries at the same time.
                os.link(fresh, target)
            except FileExistsError:
                return False
            finally:
                fresh.unlink(missing_ok=True)
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix`, in their order."""
        folder = self._folder / prefix.rpartition("/")[0]
        found = (
            path.relative_to(self._folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        yield from sorted(key for key in found if key.startswith(prefix))

    def _place(self, key: str) -> Path:
        path = self._folder / key
        with explain_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path
