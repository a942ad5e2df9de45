"""The workshop of the unit tests."""

from tests.unit.authoring.conftest import workshop

__all__ = ["workshop"]
