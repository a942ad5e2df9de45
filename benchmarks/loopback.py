"""A scripted HTTP server on a free port of loopback, for what a benchmark's programs ask."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from types import TracebackType
from typing import Self


class _Server(ThreadingHTTPServer):
    # Who finds the queue full waits for seconds, and that would be what is measured.
    request_queue_size = 1024

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        # Who asks may be killed.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class LoopbackServer(ABC):
    """Answers every POST by `respond`, in threads; a context manager."""

    content_type = "application/json"

    def __init__(self) -> None:
        """Take the port; questions are answered from `__enter__` on."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            # Head and body of an answer are two packets, of which the second else waits 40 ms.
            protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, answer = server.respond(self.path, body, self.headers)
                self.send_response(status)
                self.send_header("Content-Type", server.content_type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                # Who asked may have lost patience.
                with suppress(ConnectionError):
                    self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def respond(self, path: str, body: bytes, headers: Message) -> tuple[int, bytes]:
        """Return status and body for one request."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
