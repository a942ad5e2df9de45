"""A model on loopback that is always right, until a drill makes it wrong about a version."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self

from benchmarks.rollback.repository import ALIAS, LABELS, words


class DrillModel:
    """An OpenAI-compatible endpoint; `degraded` holds what begins the prompts it is wrong about."""

    def __init__(self) -> None:
        self.degraded: set[str] = set()
        right = words()
        degraded = self.degraded

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                system, question = (message["content"] for message in sent["messages"])
                label = right[question.strip()]
                if system.partition(":")[0] in degraded:
                    label = LABELS[(LABELS.index(label) + 1) % len(LABELS)]
                message = {"role": "assistant", "content": json.dumps({"label": label})}
                answer = {
                    "id": "drill",
                    "object": "chat.completion",
                    "created": 0,
                    "model": sent["model"],
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
                }
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True

    @property
    def models(self) -> str:
        """The one alias, as the product's setting has it."""
        url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return json.dumps({ALIAS: {"provider": "openai", "model": "drill", "base_url": url}})

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
