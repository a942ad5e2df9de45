"""How long a connection may take to say what it wants: the server itself has no such limits.

A caller that sends a byte now and then would else keep a connection and its memory for ever.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import httptools
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


class _WholeAnswers(asyncio.Transport):
    """Writes the head of an answer together with its body; two writes are two wake-ups there."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write a body with the head before it; "100 Continue" is to be read at once."""
        if not self._head and data[:5] == b"HTTP/" and data[:12] != b"HTTP/1.1 100":
            self._head = bytes(data)
            return
        self._transport.write(self._head + data)
        self._head = b""

    def is_closing(self) -> bool:
        """Whether nothing is read any more."""
        return self._transport.is_closing()

    def flush(self) -> None:
        """Write a head that has no body, as HEAD is answered."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Write what is left, then close."""
        self.flush()
        self._transport.close()


class TimedProtocol(HttpToolsProtocol):
    """Closes connections whose requests do not arrive in time."""

    _answers_to: _WholeAnswers
    _timer: asyncio.TimerHandle | None = None
    _waits_for: _Phase | None = None
    _arriving: _Phase | None = None
    """The part of a request that has begun and is not yet whole."""
    _head_bytes = 0
    _ended = False
    """Whether the end of a request was in what came last."""

    def connection_made(  # type: ignore[override]  # as the class above
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for the first byte."""
        super().connection_made(transport)
        self._answers_to = _WholeAnswers(transport)
        self._wait_for("silent")

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for what is missing of a request that has begun."""
        self._unset_keepalive_if_required()
        self._ended = False
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
        # Of what came with the end of the request before, most may be that one's body.
        if self._arriving == "head" and not self._ended:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse("The head of a request is too long.")
        self._wait()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._stop()
        self._arriving, self._head_bytes = "head", 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head is whole."""
        if self._asks_for_upgrade():
            return
        self._arriving = "body"
        super().on_headers_complete()
        self.cycle.transport = self._answers_to

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        if self._asks_for_upgrade():
            return
        self._arriving, self._ended = None, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for what is missing of the next request, if one has begun."""
        self._answers_to.flush()
        super().on_response_complete()
        if self._arriving is not None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as asked:
                # The parser takes the body for the other protocol's. We speak none, and whoever
                # offers one with a request, as Java's client does, is to be answered without.
                data = self._head_without_upgrade() + data[asked.args[0] :]

    def _asks_for_upgrade(self) -> bool:
        # CONNECT is an upgrade by itself, and refused like every target that is no path.
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _refuse(self, reason: str) -> None:
        self.logger.warning(reason)
        self.send_400_response("Invalid HTTP request received.")

    def _wait(self) -> None:
        if self._answers():
            # A request behind it is not late: its bytes are perhaps not even read yet.
            self._stop()
        else:
            # Without a request, what came were empty lines, which promise none.
            self._wait_for(self._arriving or "silent")

    def _answers(self) -> bool:
        """Whether a request is being answered that came before what is arriving."""
        if self.pipeline:
            return True
        open_ = self.cycle is not None and not self.cycle.response_complete
        return open_ and self._arriving != "body"

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
