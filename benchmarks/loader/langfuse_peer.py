"""Langfuse's SDK: `get_prompt` from its cache, then `compile`; run by the peer's own interpreter.

Its server is one answer on loopback, asked once: what is measured is the cache of the SDK.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from langfuse import Langfuse  # type: ignore[import-not-found] # the peer has it

from benchmarks.loader.timing import measure

PROMPT = {
    "name": "brand",
    "version": 1,
    "type": "chat",
    "config": {},
    "labels": ["production"],
    "tags": [],
}


def main() -> None:
    """Measure the messages and the records that standard input names."""
    asked = json.load(sys.stdin)
    answer = json.dumps({**PROMPT, "prompt": asked["mustache"]}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Langfuse(
        public_key="pk",
        secret_key="sk",
        host=f"http://127.0.0.1:{server.server_port}",
        tracing_enabled=False,
    )
    first = client.get_prompt("brand", type="chat").compile(**asked["records"][0])
    same = [{"role": message["role"], "content": message["content"]} for message in first]
    assert same == asked["messages"], "all sides must make the same messages"
    print(
        measure(
            lambda record: client.get_prompt("brand", type="chat").compile(**record),
            asked["records"],
        )
    )
    server.shutdown()


if __name__ == "__main__":
    main()
