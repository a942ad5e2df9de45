"""How long a connection may take to say what it wants: the server itself has no such limits.

A caller that sends a byte now and then would else keep a connection and its memory for ever.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from prompt_hub.core import aws_names

SILENT_SECONDS = float(aws_names.KEEP_ALIVE_SECONDS)
"""A connection may say nothing at first: longer than the balancer keeps one of its own."""
HEAD_SECONDS = 10.0
"""Time for the head of a request, from its first byte."""
BODY_SECONDS = 35.0
"""Time for a body, whoever waits for it: a little more than for one that is to be answered."""

_Phase = Literal["silent", "head", "body"]
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    # Whoever sends no head has no trace, and reads no JSON.
)


class TimedProtocol(H11Protocol):
    """Closes connections whose requests do not arrive in time."""

    _timer: asyncio.TimerHandle | None = None
    _waits_for: tuple[_Phase, RequestResponseCycle | None] | None = None

    def connection_made(  # type: ignore[override]  # as the class above
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for the first byte."""
        super().connection_made(transport)
        self._wait_for("silent")

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for what is missing of a request that has begun."""
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.IDLE:
            self._wait_for("head")
        elif state is h11.SEND_BODY:
            self._wait_for("body")
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _wait_for(self, phase: _Phase) -> None:
        # The time is that of the whole: another byte of the same head or body does not prolong it.
        if self._waits_for == (phase, self.cycle):
            return
        self._stop()
        self._waits_for = (phase, self.cycle)
        limits = {"silent": SILENT_SECONDS, "head": HEAD_SECONDS, "body": BODY_SECONDS}
        self._timer = self.loop.call_later(limits[phase], self._end, phase)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waits_for = None

    def _end(self, phase: _Phase) -> None:
        if self.transport.is_closing():
            return
        if phase == "head":
            self.transport.write(_TOO_SLOW)
        self.transport.close()
