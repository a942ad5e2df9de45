"""Where a file system is told to put the folders of builds."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.placing import spread

TOP_OF_HIERARCHIES = "T"
"""How `lsattr` writes it."""


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder on a disk: a file system in memory, where tests may have theirs, has no places."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def flags(folder: Path) -> set[str]:
    """Return the flags of a folder as e2fsprogs read them."""
    try:
        told = subprocess.run(["lsattr", "-d", str(folder)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no lsattr here")
    return set(told.stdout.partition(" ")[0]) - {"-"}


def test_folders_of_a_spread_one_are_placed_by_themselves(on_disk: Path) -> None:
    (on_disk / "probe").mkdir()
    before = flags(on_disk / "probe")
    known = subprocess.run(["chattr", "+T", str(on_disk / "probe")], capture_output=True)
    if known.returncode:
        pytest.skip("this file system has no such flag")

    folder = on_disk / "state" / "builds"
    spread(folder)
    spread(folder)
    (folder / "one").mkdir()

    # Whatever other flags it has stay.
    assert flags(folder) == before | {TOP_OF_HIERARCHIES}
    assert flags(folder / "one") == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system of Linux")
def test_a_file_system_without_such_flags_is_left_as_it_is() -> None:
    folder = Path("/proc/self")
    assert not flags(folder)

    spread(folder)
