"""Small HTTP servers on loopback that stand where a model or the service would."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prompt_hub.repository.schema import JsonObject

Respond = Callable[[str, JsonObject], tuple[int, object]]
"""Status and body for a path and the JSON that was sent (empty for GET)."""


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """The address of a server that answers as `respond` says; a body of bytes is sent as it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, sent: JsonObject) -> None:
            status, body = respond(self.path, sent)
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if status == 429 and b'"over' in raw:  # As the service does where it says "busy".
                self.send_header("Retry-After", "1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: object) -> None:
            """Tests need no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(text: str) -> JsonObject:
    """A chat completion as OpenAI-compatible servers send it."""
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 0,
        "model": "small-model-2026-01",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
