"""Records cut into shards: written as they are read, each read back by one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from prompt_hub.batch.objects import Objects
from prompt_hub.batch.readers import Record
from prompt_hub.batch.run_plan import Shard, shard_key
from prompt_hub.core.files import explain_write_errors

SHARD_BYTES = 256 << 20
"""At most so many bytes are in a shard: the container that answers it has a small disk."""
_LINES = json.JSONEncoder(separators=(",", ":"))


class ShardWriter:
    """Stores records in shards, each shard as soon as it is full; a context manager."""

    def __init__(self, objects: Objects, task: str, run: str, records: int, folder: Path) -> None:
        """Put `records` records into a shard; `folder` is for the shard that is not full yet."""
        self.shards: list[Shard] = []
        self._objects = objects
        self._task, self._run = task, run
        self._most = records
        self._path = folder / "shard.jsonl"
        self._first = 1
        self._records = 0

    def __enter__(self) -> Self:
        self._stream: BinaryIO = self._path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def add(self, record: Record) -> None:
        """Add a record to the shard at hand."""
        if self._records and (self._records >= self._most or self._stream.tell() >= SHARD_BYTES):
            self._store()
        if not self._records:
            self._first = record.number
        self._records += 1
        with explain_write_errors(self._path):
            self._stream.write(_line(record))

    def finish(self) -> tuple[Shard, ...]:
        """Store the last shard, and return all; a file without records has one without any."""
        if self._records or not self.shards:
            self._store()
        return tuple(self.shards)

    def _store(self) -> None:
        shard = Shard(shard=len(self.shards), first=self._first, records=self._records)
        with explain_write_errors(self._path):
            self._stream.flush()
            self._objects.put(shard_key(self._task, self._run, "shards", shard.shard), self._path)
            self._stream.seek(0)
            self._stream.truncate()
        self.shards.append(shard)
        self._records = 0


def _line(record: Record) -> bytes:
    # Escaped: columns may have halves of characters, which a reader of JSON lines lets through.
    value = {
        "number": record.number,
        "line": record.line,
        "columns": record.columns,
        "values": record.values,
        **({"problem": record.problem} if record.problem is not None else {}),
    }
    return _LINES.encode(value).encode("ascii") + b"\n"


def read_shard(path: Path) -> Iterator[Record]:
    """Yield the records of a shard."""
    columns: tuple[str, ...] = ()
    with path.open("rb") as stream:
        for text in stream:
            value = json.loads(text)
            # Those of the record before, where they are the same: a table has one header.
            if value["columns"] != [*columns]:
                columns = tuple(value["columns"])
            yield Record(
                value["number"],
                value["line"],
                columns,
                tuple(value["values"]),
                value.get("problem"),
            )
