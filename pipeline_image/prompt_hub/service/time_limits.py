"""How long a connection may take to say what it wants: the server itself has no such limits.

A caller that sends a byte now and then would else keep a connection and its memory for ever.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from prompt_hub.core import aws_names

SILENT_SECONDS = float(aws_names.KEEP_ALIVE_SECONDS)
"""A connection may say nothing at first: longer than the balancer keeps one of its own."""
HEAD_SECONDS = 10.0
"""Time for the head of a request, from its first byte."""
BODY_SECONDS = 35.0
"""Time for a body, whoever waits for it: a little more than for one that is to be answered."""
MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a head; the parser itself would take as many as come."""

_Phase = Literal["silent", "head", "body"]
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    # Whoever sends no head has no trace, and reads no JSON.
)


class TimedProtocol(HttpToolsProtocol):
    """Closes connections whose requests do not arrive in time."""

    _timer: asyncio.TimerHandle | None = None
    _waits_for: _Phase | None = None
    _arriving: _Phase | None = None
    """The part of a request that has begun and is not yet whole."""
    _head_bytes = 0

    def connection_made(  # type: ignore[override]  # as the class above
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for the first byte."""
        super().connection_made(transport)
        self._wait_for("silent")

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for what is missing of a request that has begun."""
        super().data_received(data)
        if self._arriving == "head":
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.logger.warning("The head of a request is too long.")
                self.send_400_response("Invalid HTTP request received.")
        if self._arriving is None:
            self._stop()
        else:
            self._wait_for(self._arriving)

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._stop()
        self._arriving, self._head_bytes = "head", 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is whole."""
        self._arriving = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        self._arriving = None
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _wait_for(self, phase: _Phase) -> None:
        # The time is that of the whole: another byte of the same head or body does not prolong it.
        if self._waits_for == phase:
            return
        self._stop()
        self._waits_for = phase
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
