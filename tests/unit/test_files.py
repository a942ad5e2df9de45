"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.core.files import atomic_write


def test_the_new_text_takes_the_place_of_the_old_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "interruption", [OSError(28, "No space left on device"), KeyboardInterrupt()]
)
def test_an_interruption_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, interruption: BaseException
) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"old")
    with pytest.raises(type(interruption)):
        _write_half(path, interruption)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path, interruption: BaseException) -> None:
    with atomic_write(path) as stream:
        stream.write(b"half")
        raise interruption
