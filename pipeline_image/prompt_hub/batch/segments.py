"""A shard's journal, stored piece by piece while it grows: another process goes on from there."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from pathlib import Path

from prompt_hub.batch.objects import Objects
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.files import explain_write_errors

logger = logging.getLogger(__name__)

STORE_EVERY_SECONDS = 1.0
"""What is younger may be asked again after the death of a process."""


class Segments:
    """The stored pieces of one journal; put together in the order of their names they are it."""

    def __init__(self, objects: Objects, task: str, run: str, shard: int, journal: Path) -> None:
        """Name the segments of the journal at `journal`."""
        self._objects = objects
        self._prefix = aws_names.run_key(task, run, f"part/{shard:05}/")
        self._journal = journal
        self._stored = 0
        self._number = 0
        self._lock = threading.Lock()

    def restore(self) -> bool:
        """Make the journal of what other processes have stored; False if none has begun."""
        piece = self._journal.with_name("segment")
        with explain_write_errors(self._journal), self._journal.open("wb") as journal:
            for key in self._objects.keys(self._prefix):
                self._objects.fetch(key, piece)
                with piece.open("rb") as stream:
                    shutil.copyfileobj(stream, journal)
                self._number = max(self._number, _number(key))
            self._stored = journal.tell()
        return self._stored > 0

    def store(self) -> None:
        """Store the lines that have come since; raises `PromptHubError`."""
        with self._lock:
            fresh = self._journal.with_name("fresh")
            with self._journal.open("rb") as journal:
                journal.seek(self._stored)
                lines = journal.read()
            # The last line may be on its way this very moment.
            lines = lines[: lines.rfind(b"\n") + 1]
            if not lines:
                return
            with explain_write_errors(fresh):
                fresh.write_bytes(lines)
            created = False
            while not created:  # two processes may be at the same shard: none loses anything
                self._number += 1
                created = self._objects.create(f"{self._prefix}{self._number:06}.jsonl", fresh)
                if not created:
                    # Whoever goes on from a journal on disk knows of none that are stored.
                    there = map(_number, self._objects.keys(self._prefix))
                    self._number = max(there, default=self._number)
            self._stored += len(lines)

    async def keep_storing(self) -> None:
        """Store what has come, every second; a failure is told and tried again."""
        while True:
            await asyncio.sleep(STORE_EVERY_SECONDS)
            try:
                await asyncio.to_thread(self.store)
            except PromptHubError as error:
                logger.warning("%s What was answered is stored later.", error)


def _number(key: str) -> int:
    return int(Path(key).stem)
