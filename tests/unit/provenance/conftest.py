"""The world that an execution promotes in, to be traced."""

from tests.unit.promotion.checkouts import first_world, world

__all__ = ["first_world", "world"]
