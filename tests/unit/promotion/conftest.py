"""The world that an execution promotes in."""

from tests.unit.promotion.checkouts import world

__all__ = ["world"]
