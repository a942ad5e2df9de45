"""Fixtures of the local AWS tests: see `emulator.py` for what they hand out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_aws.emulator import LocalAws


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A running emulator, shared by the tests of one module."""
    emulator = LocalAws(state=tmp_path_factory.mktemp("local-aws"))
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()
