"""Where folders are made: each whole or not at all, and apart from what it is not about."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
"""Linux's FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, as x86-64 and arm64 number them."""
_TOP_OF_HIERARCHIES = 0x20000
"""FS_TOPDIR_FL, which `chattr +T` sets."""


@contextmanager
def made_whole(folder: Path) -> Iterator[str]:
    """Yield where to make `folder`, which takes its place at the end.

    Whoever is ended meanwhile leaves nothing there that a later run would take for whole.
    """
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    yield str(fresh)
    fresh.rename(folder)


def spread(folder: Path) -> None:
    """Make `folder`, and have the file system place each folder in it by itself.

    An ext4 without a journal seeks a place for a file past every one that was removed near it in
    the last minutes: trees that come and go side by side took seven times the CPU of writing them.
    Where a file system, or a system, has no such flag, nothing is different.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not sys.platform.startswith("linux"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            (flags,) = struct.unpack("l", fcntl.ioctl(opened, _GET_FLAGS, struct.pack("l", 0)))
            fcntl.ioctl(opened, _SET_FLAGS, struct.pack("l", flags | _TOP_OF_HIERARCHIES))
    finally:
        os.close(opened)
