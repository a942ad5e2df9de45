"""The one service that the tests of a file share."""

from tests.unit.service.serving import running, service

__all__ = ["running", "service"]
