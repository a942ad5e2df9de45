"""Property tests start from what unit tests start from, and draw by one seed."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.property.drawing import DrawSeed
from tests.unit.conftest import built, healthy, kept

__all__ = ["built", "draw_seed", "healthy", "kept"]

# A deadline measures the machine: tests here share two cores with a language model. What is drawn
# is the same in every run, so that a red run is about the change in it; `make property-fresh`
# loads the other profile.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("fresh", deadline=None, derandomize=False, database=None, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def draw_seed(request: pytest.FixtureRequest) -> DrawSeed:
    """Let one option seed hypothesis and the tests that draw by themselves."""
    given = request.config.getoption("--hypothesis-seed")

    def seed(usual: int) -> int:
        return usual if given is None else int(given)

    return seed
