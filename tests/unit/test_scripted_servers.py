"""Servers that tests and benchmarks script lose nobody's call, however many come at once."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer

from benchmarks.loopback import LoopbackServer

AT_ONCE = 200


def test_callers_of_a_busy_server_wait_in_its_queue() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        assert waiting(server.server_port) == AT_ONCE


def test_callers_of_a_busy_benchmark_wait_in_its_queue() -> None:
    class Busy(LoopbackServer):
        def respond(self, *asked: object) -> tuple[int, bytes]:
            raise AssertionError("it serves nobody yet")

    with Busy()._server as server:
        assert waiting(server.server_port) == AT_ONCE


def waiting(port: int) -> int:
    """Connect to a server that accepts nobody yet; how many calls are in its queue."""
    with ExitStack() as stack:
        for reached in range(AT_ONCE):
            try:
                call = socket.create_connection(("127.0.0.1", port), timeout=0.5)
            except TimeoutError:
                return reached
            stack.enter_context(call)
    return AT_ONCE
