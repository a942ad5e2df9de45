"""Which batches of a prompt are under way: written down before anybody waits for one.

A batch that was started costs, whoever dies meanwhile. So its tag is written before the provider is
asked to start it, and its id before it is waited for; once every answer is in the cache file beside
this one, so is that. Whoever comes next finds the batches that are open, and asks for no other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.json_log import JsonLinesLog, Span, json_line

JOURNAL = ".batches.jsonl"
"""What the name of a journal ends with, in place of its cache file's `.jsonl`."""


@dataclass(frozen=True, kw_only=True)
class OpenBatch:
    """A batch whose answers are not all in the cache file."""

    tag: str
    """What it is called in its own metadata."""
    requests: int
    at: float
    """Unix time before which it was not started."""
    id: str | None = None
    """The provider's name for it; None while nobody knows whether it was started."""


class BatchJournal:
    """The journal of one cache file, kept to one process for as long as it is open."""

    def __init__(self, cache_file: Path, clock: Callable[[], float] = time.time) -> None:
        """Open the journal that lies beside a cache file.

        Raises:
            PromptHubError: another process waits for batches of this prompt, or the file cannot be
                written.
        """
        self._clock = clock
        self._open: dict[str, OpenBatch] = {}
        self.path = cache_file.with_suffix(JOURNAL)
        try:
            self._log = JsonLinesLog(self.path, exclusive=True)
        except BlockingIOError:
            raise PromptHubError(
                f"another evaluation waits for batches of {cache_file.parent.name}.",
                hint="Let it end, or end it: both would pay for the same questions.",
                exit_code=ExitCode.NOT_MEASURED,
            ) from None
        self._log.begin(json_line({"schema": "prompt-hub/batches@1"}))
        self._log.scan(self._note)

    @property
    def open(self) -> tuple[OpenBatch, ...]:
        """The batches that are under way, or may be."""
        return tuple(self._open.values())

    def close(self) -> None:
        """Give the file back."""
        self._log.close()

    def starting(self, tag: str, requests: int) -> OpenBatch:
        """Write down that a batch is about to be started."""
        batch = OpenBatch(tag=tag, requests=requests, at=self._clock())
        self._write({"event": "starting", "tag": tag, "requests": requests, "at": batch.at})
        return batch

    def started(self, batch: OpenBatch, name: str) -> OpenBatch:
        """Write down what the provider calls it."""
        self._write({"event": "started", "tag": batch.tag, "id": name})
        return replace(batch, id=name)

    def over(self, batch: OpenBatch) -> None:
        """Write down that nothing more is to be had from it."""
        self._write({"event": "over", "tag": batch.tag})

    def _write(self, line: dict[str, object]) -> None:
        raw = json_line(line)
        self._log.append(raw)
        self._note(raw, (0, 0))

    def _note(self, raw: bytes, _: Span) -> None:
        line = json.loads(raw)
        try:
            tag = line["tag"]
            match line["event"]:
                case "starting":
                    requests, at = int(line["requests"]), float(line["at"])
                    self._open[tag] = OpenBatch(tag=tag, requests=requests, at=at)
                case "started":
                    self._open[tag] = replace(self._open[tag], id=line["id"])
                case "over":
                    del self._open[tag]
        except (LookupError, TypeError) as error:
            raise ValueError("no line as it was written") from error
