"""How long a connection may take to say what it wants: the server itself has no such limits.

A caller that sends a byte now and then would else keep a connection and its memory for ever.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGI3Application,
        ASGISendEvent,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
    )

SILENT_SECONDS = float(aws_names.KEEP_ALIVE_SECONDS)
"""A connection may say nothing at first: longer than the balancer keeps one of its own."""
HEAD_SECONDS = 10.0
"""Time for the head of a request, from its first byte."""
BODY_SECONDS = 35.0
"""Time for a body, whoever waits for it: a little more than for one that is to be answered."""
MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a head; the parser itself would take as many as come."""

_OK = int(HTTPStatus.OK)
_OK_LINE = STATUS_LINE[_OK]
_Phase = Literal["silent", "head", "body", "idle"]
"""Silent before the first request, idle after an answer."""
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    # Whoever sends no head has no trace, and reads no JSON.
)


class _Cycle(RequestResponseCycle):
    """A request and its answer.

    A short answer is written in one piece: two writes are two wake-ups of whoever waits for it, and
    uvicorn looks at each header of each answer. Every other answer is written by uvicorn.
    """

    tasks: set[asyncio.Task[None]]
    """Those of the server that are not done."""
    _start: HTTPResponseStartEvent | None = None
    """The head of the answer, as long as nothing of it is written."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Answer the request, and be done: told by a callback, the loop takes another turn."""
        try:
            await super().run_asgi(app)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self.tasks.discard(task)

    async def send(self, message: ASGISendEvent) -> None:
        """Write a part of the answer; its head with its body."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._start, self.response_started = message, True
            return
        start, self._start = self._start, None
        if start is None:
            await super().send(message)
        elif message["type"] == "http.response.body" and self._is_short(start, message):
            self._write(start, message["body"])
        else:
            self.response_started = False
            await super().send(start)
            await super().send(message)

    def _is_short(self, start: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
        return (
            # With every other status a header may say what becomes of the connection.
            start["status"] == _OK
            and not message.get("more_body", False)
            and self.keep_alive
            and self.scope["method"] != "HEAD"
            and not (self.flow.write_paused or self.disconnected)
        )

    def _write(self, start: HTTPResponseStartEvent, body: bytes) -> None:
        # Of an answer that is no error the application has made every header itself.
        pieces = [_OK_LINE]
        for headers in (self.default_headers, start["headers"]):
            for name, value in headers:
                pieces += (name, b": ", value, b"\r\n")
        pieces += (b"\r\n", body)
        self.transport.write(b"".join(pieces))
        self.response_complete = True
        self.message_event.set()
        self.on_response()


class TimedProtocol(HttpToolsProtocol):
    """Closes connections whose requests do not arrive in time."""

    _timer: asyncio.TimerHandle | None = None
    """One for the connection: it is set anew when it rings too early, not for each request."""
    _due = 0.0
    """When what is waited for is late."""
    _waits_for: _Phase | None = None
    _arriving: Literal["head", "body"] | None = None
    """The part of a request that has begun and is not yet whole."""
    _head_bytes = 0
    _ended = False
    """Whether the end of a request was in what came last."""

    def connection_made(  # type: ignore[override]  # as the class above
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for the first byte."""
        super().connection_made(transport)
        self._wait_for("silent")

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for what is missing of a request that has begun."""
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
        """Note that a head is whole, and have the request answered.

        As uvicorn's own, with another cycle, and without what this service never asks for.
        """
        if self._asks_for_upgrade():
            return
        self._arriving = "body"
        parser, scope = self.parser, self.scope
        version, url = parser.get_http_version(), httptools.parse_url(self.url)
        path: str = url.path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = cycle = _Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        cycle.tasks = self.tasks
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            # Its turn comes after those that came before it.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.tasks.add(self.loop.create_task(cycle.run_asgi(app)))

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        if self._asks_for_upgrade():
            return
        self._arriving, self._ended = None, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one.

        As uvicorn's own, whose timer for silent connections would be set and stopped each time.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._arriving is None:
            self._wait_for("idle")
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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
        if phase == "idle":
            seconds = float(self.timeout_keep_alive)
        else:
            limits = {"silent": SILENT_SECONDS, "head": HEAD_SECONDS, "body": BODY_SECONDS}
            seconds = limits[phase]
        self._waits_for, self._due = phase, self.loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._due:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(self._due, self._ring)

    def _stop(self) -> None:
        self._waits_for = None

    def _ring(self) -> None:
        self._timer = None
        if self._waits_for is None or self.transport.is_closing():
            return
        if self.loop.time() < self._due:
            self._timer = self.loop.call_at(self._due, self._ring)
            return
        if self._waits_for == "head":
            self.transport.write(_TOO_SLOW)
        self.transport.close()
