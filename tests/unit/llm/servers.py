"""A real HTTP server on loopback that answers from a script and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, dict[str, str], object]
"""Status, headers and JSON body; bytes are sent as they are. Status 0 hangs up."""


@dataclass
class Asked:
    """One request: the path as it was sent, headers in lower case, the JSON body and its bytes."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]
    raw: bytes


@dataclass
class Scripted:
    """What a server says, in order and the last for ever, and what it was asked."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted(
    *replies: Reply, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Scripted]:
    script = Scripted(replies=list(replies))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.asked.append(Asked(self.path, headers, json.loads(sent), sent))
            replies = script.replies
            status, head, body = replies.pop(0) if len(replies) > 1 else replies[0]
            self.close_connection = True
            if status == 0:
                return
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(raw)),
                **head,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    script.url = f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
