"""What a run over records says while it goes on, on standard error."""

from __future__ import annotations

import sys
import time

from prompt_hub.batch.runner import BatchStats
from prompt_hub.core.wording import count

PROGRESS_EVERY_SECONDS = 5.0


def say(line: str) -> None:
    """Tell people something at once."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Says now and then how many records are finished, of how many."""

    def __init__(self, records: int | None = None) -> None:
        self._records = records
        self._said = time.monotonic()

    def __call__(self, stats: BatchStats) -> None:
        """Take note of the records so far."""
        if time.monotonic() - self._said >= PROGRESS_EVERY_SECONDS:
            self._said = time.monotonic()
            finished = stats.answered + stats.failed
            of_all = f"{finished:,} of " if self._records is not None else ""
            say(f"  {of_all}{count(self._records or finished, 'record')} finished")
