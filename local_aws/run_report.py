"""The story of one local run as it happens: printed for people, kept for the report page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from local_aws.countdown import Countdown


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Story:
    """Numbers the steps, times them, and collects what the report page shows."""

    def __init__(self, title: str, countdown: Countdown) -> None:
        self.title = title
        self._countdown = countdown
        self._started = now()
        self._clock = time.monotonic()
        self._steps: list[dict[str, object]] = []
        self._red_because = ""
        self.versions: list[dict[str, object]] = []
        self.timeline: list[dict[str, str]] = []
        self.executions: list[dict[str, object]] = []
        self.pointers: list[dict[str, object]] = []
        self.rollback: dict[str, object] | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """One step: its name is printed before, its seconds after; what is said joins the page.

        A long one tells meanwhile what is left of it. Lines put into the yielded list are printed
        at once by `say` and kept as the detail.
        """
        began, clock = now(), time.monotonic()
        print(f"\n[{len(self._steps) + 1}] {name}", flush=True)
        lines: list[str] = []
        self._red_because = ""
        status = "failed"
        try:
            with self._countdown.of(name):
                yield lines
            status = "ok"
        finally:
            ended = status == "ok"
            seconds = time.monotonic() - clock
            self._steps.append(
                {
                    "name": name,
                    "started_at": began,
                    "seconds": round(seconds, 2),
                    "status": "expected-red" if ended and self._red_because else status,
                    "detail": "\n".join(lines),
                    "note": self._red_because if ended else "",
                }
            )
            print(f"    {'done' if ended else status} in {seconds:.1f} s", flush=True)

    def expected_red(self, why: str) -> None:
        """Mark the step that is told now, and its execution, as red on purpose; `why` explains."""
        self._red_because = why
        if self.executions:
            self.executions[-1]["note"] = why

    @property
    def seconds(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._clock

    def happened(self, what: str, at: str | None = None) -> None:
        """Add a line to the timeline of the rollback."""
        self.timeline.append({"at": at or now(), "what": what})

    def write(self, path: Path) -> None:
        """Write what the report page is made from."""
        run = {
            "schema": "prompt-hub/run@1",
            "title": self.title,
            "started_at": self._started,
            "finished_at": now(),
            "steps": self._steps,
            "versions": self.versions,
            "timeline": sorted(self.timeline, key=lambda line: datetime.fromisoformat(line["at"])),
            "rollback": self.rollback,
            "pointers": self.pointers,
            "executions": self.executions,
        }
        path.write_text(json.dumps(run, indent=2, ensure_ascii=False), encoding="utf-8")


def say(lines: list[str], line: str) -> None:
    """Print one line of a step and keep it."""
    lines.append(line)
    print(f"    {line}", flush=True)
