"""How long a step still takes: by the last run on this machine, else by one on two quiet cores."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

TYPICAL: Mapping[str, float] = {
    "CodePipeline, as CDK synthesised it": 165,
    "Another push: nothing is paid for twice, the quarantined stays out": 39,
    "Two pushes in quick succession, each promoting another task": 68,
    "The rollback reaches git: its event starts the pipeline": 34,
    "Score watch, rollback Lambda, ledger, service": 13,
    "cdk bootstrap, cdk deploy of the pipeline: the unmodified app": 13,
    "Models, and a local AWS, on loopback": 4,
}
"""Seconds of the steps that take over five on a slow machine; the others say nothing."""
QUIET_SECONDS = 5.0
EVERY_SECONDS = 15.0


class Countdown:
    """Tells a step's remaining time while it runs; what steps took is kept in `file`."""

    def __init__(self, file: Path, tell: Callable[[str], None] | None = None) -> None:
        self._file = file
        self._say = tell or partial(print, flush=True)
        self._last = _read(file)
        self._took: dict[str, float] = {}

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Count down while `step` runs, and remember its seconds if it ends well."""
        ended, started = threading.Event(), time.monotonic()
        teller = threading.Thread(target=self._tell, args=(step, started, ended), daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()
        self._took[step] = time.monotonic() - started
        kept = {name: round(seconds, 1) for name, seconds in {**self._last, **self._took}.items()}
        self._file.write_text(json.dumps(kept, indent=2), encoding="utf-8")

    def line(self, step: str, elapsed: float) -> str:
        """All there is to say about a step that has run for `elapsed` seconds."""
        expected = self._last.get(step) or TYPICAL.get(step, 0.0) * self._pace()
        if not expected:
            return f"… {duration(elapsed)}"
        if elapsed > expected:
            return f"… {duration(elapsed)}, longer than the {duration(expected)} expected"
        return f"… {duration(elapsed)}, about {duration(expected - elapsed)} left"

    def _pace(self) -> float:
        """Return how many times as long as on two quiet cores the steps took so far."""
        known = [step for step in self._took if step in TYPICAL]
        typical = sum(TYPICAL[step] for step in known)
        return sum(self._took[step] for step in known) / typical if typical else 1.0

    def _tell(self, step: str, started: float, ended: threading.Event) -> None:
        waited = QUIET_SECONDS
        while not ended.wait(waited):
            self._say(f"    {self.line(step, time.monotonic() - started)}")
            waited = QUIET_SECONDS if sys.stdout.isatty() else EVERY_SECONDS


def duration(seconds: float) -> str:
    """Return seconds as people say them: `45 s`, `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _read(file: Path) -> dict[str, float]:
    try:
        kept: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the first run, or one that was killed while it wrote
        return {}
    return kept
