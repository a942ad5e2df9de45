"""The evaluations that the unit tests read."""

from tests.unit.reporting.conftest import copied, evaluated

__all__ = ["copied", "evaluated"]
