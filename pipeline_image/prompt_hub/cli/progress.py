"""What a run over records says while it goes on, on standard error."""

from __future__ import annotations

import sys
import time

from prompt_hub.batch.runner import BatchStats

PROGRESS_EVERY_SECONDS = 5.0


def say(line: str) -> None:
    """Tell people something at once."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Says now and then how many records are finished, of how many."""

    def __init__(self, records: int | None = None) -> None:
        self._of = "" if records is None else f" of {records}"
        self._said = time.monotonic()

    def __call__(self, stats: BatchStats) -> None:
        """Take note of the records so far."""
        if time.monotonic() - self._said >= PROGRESS_EVERY_SECONDS:
            self._said = time.monotonic()
            say(f"  {stats.answered + stats.failed}{self._of} records finished")
