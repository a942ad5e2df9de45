"""Property tests start from what unit tests start from, and draw by one seed."""

from __future__ import annotations

import pytest

from tests.property.drawing import DrawSeed
from tests.unit.conftest import built, healthy

__all__ = ["built", "draw_seed", "healthy"]


@pytest.fixture(scope="session")
def draw_seed(request: pytest.FixtureRequest) -> DrawSeed:
    """Let one option seed hypothesis and the tests that draw by themselves."""
    given = request.config.getoption("--hypothesis-seed")

    def seed(usual: int) -> int:
        return usual if given is None else int(given)

    return seed
