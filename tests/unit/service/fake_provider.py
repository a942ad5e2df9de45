"""A small OpenAI-compatible server on loopback that says what a test wants to hear."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeProvider:
    """Answers every chat completion with `says`, or with `status` where that is not 200.

    With `retry_after` it asks to wait so many seconds, else to come again at once.

    `thinks` makes the answer of the messages instead, where there is one.
    """

    url: str
    says: str = '{"part_class": "resistor"}'
    status: int = 200
    retry_after: str | None = None
    refusal: dict[str, Any] = field(default_factory=dict)
    delay_seconds: float = 0.0
    thinks: Callable[[list[dict[str, str]]], object] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def completion(self, request: dict[str, Any]) -> dict[str, Any]:
        says = json.dumps(self.thinks(request["messages"])) if self.thinks else self.says
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "small-model-2026-01-build-7",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": says},
                }
            ],
            "usage": {"prompt_tokens": 41, "completion_tokens": 6, "total_tokens": 47},
        }


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """Run the server for the length of a `with`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            provider.asked.append(request)
            time.sleep(provider.delay_seconds)
            body = json.dumps(
                provider.completion(request) if provider.status == 200 else provider.refusal
            ).encode()
            self.send_response(provider.status)
            self.send_header("Content-Type", "application/json")
            if provider.retry_after is None:
                self.send_header("retry-after-ms", "1")
            else:
                self.send_header("retry-after", provider.retry_after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # A caller that lost its patience is what some tests are about.
            with suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = FakeProvider(url=f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
