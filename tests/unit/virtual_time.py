"""An event loop whose clock jumps over every wait: minutes of waiting are tested in no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):
    """Does not wait for events, of which there are none, but moves the clock on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else: nothing will ever happen")
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def clock() -> float:
    """Virtual seconds since the loop was made."""
    return asyncio.get_running_loop().time()


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run `main()`; whatever is waited for has come at once."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main())
