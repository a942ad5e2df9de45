"""Ends a call that waits for its model's limit, once its caller has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any


class CallerLeftError(Exception):
    """The caller has left before the answer; nothing went wrong here."""


class CallerWatch:
    """A context for what a call waits for once its body is read.

    It ends the wait by `CallerLeftError` when the caller hangs up. Entering it costs a task, which
    a call that need not wait does without.
    """

    __slots__ = ("_call", "_left", "_receive", "_watch")

    def __init__(self, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
        self._receive = receive
        self._left = False

    def __enter__(self) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._call = call
        self._watch = asyncio.create_task(self._wait())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        call, watch = self._call, self._watch
        # What has ended it leads from the task back to here: a ring, which would be kept.
        del self._call, self._watch
        watch.cancel()
        if self._left:
            call.uncancel()
            raise CallerLeftError from None

    async def _wait(self) -> None:
        # A server may tell once more that the body has ended.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._call.cancel()
