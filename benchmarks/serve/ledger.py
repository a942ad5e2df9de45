"""A ledger on a port: what DynamoDB answers to the reads of a service, and a pointer to move.

Only reads are answered. The service under test polls it as it would poll the real table.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message

from benchmarks.loopback import LoopbackServer
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import ACTIVE, HEAD_KEY, Pointer, VersionRef
from prompt_hub.ledger.wire import pack
from prompt_hub.release.manifest import Release

TABLE = "bench-ledger"


class LedgerServer(LoopbackServer):
    """Serves pointers to the champions of a release; a context manager."""

    content_type = "application/x-amz-json-1.0"

    def __init__(self, release: Release) -> None:
        super().__init__()
        self.url = self.address
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._revision = 0
        self._pointers: dict[str, Pointer] = {}
        self._items: dict[str, str] = {}
        """Pointers as they are answered: written when they move, not for each of those who ask."""
        for task in release.tasks:
            champion = release.tasks[task].version(release.tasks[task].champion)
            if champion is not None:
                self._revision += 1
                self._put(
                    Pointer(
                        task=task,
                        active=champion.reference,
                        previous=None,
                        frozen=False,
                        revision=self._revision,
                        changed_by="bench",
                        reason="the benchmark begins",
                        at="2026-11-27T00:00:00+00:00",
                        release=release.reference,
                    )
                )

    @contextmanager
    def hanging(self) -> Iterator[threading.Event]:
        """Take questions, and answer them only afterwards; yields what is set when one has come."""
        with self._lock:
            self._asked.clear()
            yield self._asked

    def respond(self, path: str, body: bytes, headers: Message) -> tuple[int, bytes]:
        """Answer one request of a client of DynamoDB."""
        self._asked.set()
        operation = str(headers["X-Amz-Target"]).rpartition(".")[2]
        return 200, self.answer(operation, json.loads(body)).encode()

    def move(self, task: str, reached: VersionRef) -> int:
        """Let the pointer of `task` go to another version; returns the ledger's new revision."""
        return self.move_all({task: reached})

    def move_all(self, reached: Mapping[str, VersionRef]) -> int:
        """Let many pointers go elsewhere; no look at the ledger finds some of them moved."""
        with self._lock:
            for task, version in reached.items():
                self._revision += 1
                self._put(replace(self._pointers[task], active=version, revision=self._revision))
            return self._revision

    def _put(self, pointer: Pointer) -> None:
        self._pointers[pointer.task] = pointer
        self._items[pointer.task] = json.dumps(_item(pointer))

    def answer(self, operation: str, asked: dict[str, dict[str, dict[str, str]]]) -> str:
        """Answer one read, in JSON."""
        with self._lock:
            if operation == "Query":
                return f'{{"Items": [{", ".join(self._items.values())}]}}'
            key = asked["Key"]
            head = (key[aws_names.LEDGER_PARTITION_KEY]["S"], key[aws_names.LEDGER_SORT_KEY]["S"])
            if head == HEAD_KEY:
                return json.dumps({"Item": {"revision": pack(self._revision)}})
            return "{}"


def _item(pointer: Pointer) -> dict[str, object]:
    keys = {aws_names.LEDGER_PARTITION_KEY: ACTIVE, aws_names.LEDGER_SORT_KEY: pointer.task}
    return {name: pack(value) for name, value in {**keys, **pointer.to_attributes()}.items()}
