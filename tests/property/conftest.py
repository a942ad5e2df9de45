"""Property tests start from what unit tests start from."""

from tests.unit.conftest import built, healthy

__all__ = ["built", "healthy"]
