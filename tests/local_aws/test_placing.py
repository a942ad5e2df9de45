"""Where a file system is told to put the folders of builds."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from local_aws.placing import _GET_FLAGS, _TOP_OF_HIERARCHIES, spread


def flags(folder: Path) -> int:
    opened = os.open(folder, os.O_RDONLY)
    try:
        (found,) = struct.unpack("l", fcntl.ioctl(opened, _GET_FLAGS, struct.pack("l", 0)))
    finally:
        os.close(opened)
    return int(found)


def test_folders_of_a_spread_one_are_placed_by_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "builds"
    spread(folder)
    spread(folder)
    (folder / "one").mkdir()

    try:
        kept = flags(tmp_path)
    except OSError:
        pytest.skip("this file system has no such flags")
    # Whatever else it has stays.
    assert flags(folder) & ~_TOP_OF_HIERARCHIES == kept & ~_TOP_OF_HIERARCHIES
    assert not flags(folder / "one") & _TOP_OF_HIERARCHIES
    assert flags(folder) & _TOP_OF_HIERARCHIES


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system of Linux")
def test_a_file_system_without_such_flags_is_left_as_it_is() -> None:
    folder = Path("/proc/self")
    with pytest.raises(OSError, match="ioctl"):
        flags(folder)

    spread(folder)
