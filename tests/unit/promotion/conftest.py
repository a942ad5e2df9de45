"""The world that an execution promotes in."""

from tests.unit.promotion.checkouts import first_world, world
from tests.unit.promotion.rolled_back import released_world

__all__ = ["first_world", "released_world", "world"]
