"""Fixtures that every unit test may use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.building import RepositoryFolder, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The healthy repository, built once; tests take their own copy by `healthy`."""
    return build(tmp_path_factory.mktemp("healthy")).root


@pytest.fixture
def healthy(built: Path, tmp_path: Path) -> RepositoryFolder:
    """A healthy prompt repository of two tasks, free to be changed."""
    root = tmp_path / "repository"
    shutil.copytree(built, root)
    return RepositoryFolder(root)
