"""What passes through a connection of a load balancer, as its metrics count it.

Bytes go through as they are; only copies are read here. On a connection that is no HTTP/1.1, or
asks by HEAD, whose answer has a length and no body, nothing more is counted; it is forwarded as
before.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import httptools

Answered = Callable[[int, float], None]
"""Called with the status code of an answer, and the seconds that the target took to begin it."""


class Exchanges:
    """Requests and answers of one connection; each answer is told as it begins."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._requests = httptools.HttpRequestParser(_Requests(self))
        self._answers = httptools.HttpResponseParser(_Answers(self))
        self._asked = 0.0
        self._lost = False

    def from_client(self, data: bytes) -> None:
        """Read what the client sent."""
        self._read(self._requests, data)

    def from_target(self, data: bytes) -> None:
        """Read what the target answered."""
        self._read(self._answers, data)

    def request_ended(self) -> None:
        """Begin to wait for the answer."""
        self._asked = time.monotonic()
        self._lost = self._lost or self._requests.get_method() == b"HEAD"

    def answer_begun(self) -> None:
        """Report an answer; an interim one (1xx) does not count."""
        status = self._answers.get_status_code()
        if status >= 200:
            self._answered(status, time.monotonic() - self._asked)

    def _read(
        self, parser: httptools.HttpRequestParser | httptools.HttpResponseParser, data: bytes
    ) -> None:
        if not self._lost:
            try:
                parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                self._lost = True


class _Requests:
    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    def on_message_complete(self) -> None:
        self._exchanges.request_ended()


class _Answers:
    def __init__(self, exchanges: Exchanges) -> None:
        self._exchanges = exchanges

    def on_headers_complete(self) -> None:
        self._exchanges.answer_begun()
