"""As much of AWS on loopback as the commands of a stage ask for; the ledgers are real tables."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.unit.compatibility.previous_tree import Json, key_of, ledger_items
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB

PUBLISHED = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>1</MessageId></PublishResult></PublishResponse>"
)


@dataclass
class Cloud:
    """Two stages with the ledgers of the previous tree, a topic and an event bus."""

    tables: dict[str, FakeDynamoDB] = field(
        default_factory=lambda: {
            f"prompt-hub-{stage}-ledger": FakeDynamoDB(
                {key_of(item): item for item in ledger_items(stage)}
            )
            for stage in ("dev", "prod")
        }
    )
    subjects: list[str] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)

    def items(self, stage: str) -> dict[tuple[str, str], Json]:
        """What a stage's ledger holds now."""
        return self.tables[f"prompt-hub-{stage}-ledger"].items

    def answer(self, target: str, body: bytes) -> tuple[str, bytes]:
        """Content type and body of the answer to one request."""
        service, _, operation = target.rpartition(".")
        if service.startswith("DynamoDB"):
            found = self._ask_table(operation, json.loads(body))
        elif service == "AWSEvents":
            entries = json.loads(body)["Entries"]
            self.events += entries
            found = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in entries]}
        elif form := parse_qs(body.decode("utf-8", "replace")).get("Subject"):
            self.subjects += form
            return "text/xml", PUBLISHED
        else:  # CloudWatch takes metrics and says nothing
            return "application/cbor", b"\xa0"
        return "application/x-amz-json-1.0", json.dumps(found).encode()

    def _ask_table(self, operation: str, sent: Json) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            (name,) = {
                entry["TableName"] for item in sent["TransactItems"] for entry in item.values()
            }
            return self.tables[name].transact_write_items(TransactItems=sent["TransactItems"])
        table = self.tables[sent["TableName"]]
        if operation == "Query":
            return table.query(**sent)
        assert operation == "GetItem", operation
        return table.get_item(**sent)


@contextmanager
def running(cloud: Cloud) -> Iterator[str]:
    """The address under which `cloud` answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind, body = cloud.answer(self.headers.get("X-Amz-Target", ""), sent)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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
