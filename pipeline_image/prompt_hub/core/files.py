"""A file is written whole or not at all, and a failure to do so is a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from prompt_hub.core.errors import PromptHubError


def links_followed(path: Path) -> Path:
    """Return where a path leads; raises `PromptHubError` where its links lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # until Python 3.12 a circle is a RuntimeError
        raise PromptHubError(
            f"{path.absolute()} leads in a circle of symbolic links.",
            hint="Remove one of the links, or name the folder itself.",
        ) from None


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream that becomes the file at `path` if the block ends without error.

    Until then, and through a power cut, the old file is there. Several files that must change
    together are for `repository/transaction.py`.

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn what the system says about writing the file at `path` into a `PromptHubError`."""
    try:
        yield
    except OSError as error:
        raise PromptHubError(
            f"{path} cannot be written: {error.strerror}.",
            hint="Mend that and run the same command again: what was finished is kept.",
        ) from None
