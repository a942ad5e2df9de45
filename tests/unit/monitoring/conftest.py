"""The stage that the tests of the score watch look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.building import RepositoryFolder
from tests.unit.monitoring.watch_stage import Stage


@pytest.fixture
def stage(healthy: RepositoryFolder, tmp_path: Path) -> Stage:
    """A stage in which `part-class` 1.1.0 and `brand` 1.0.0 are active."""
    made = Stage(healthy, tmp_path / "results")
    made.move("part-class", "1.1.0")
    made.move("brand", "1.0.0")
    return made
