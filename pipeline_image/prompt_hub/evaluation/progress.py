"""How far an evaluation is: one line that moves on a terminal, a line now and then in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from prompt_hub.core.wording import count
from prompt_hub.evaluation.budget import UNPRICED
from prompt_hub.evaluation.budgeted_client import BudgetedClient

LIVE_SECONDS = 0.1
"""Seconds between two looks of the moving line."""
LOG_SECONDS = 15.0
"""Seconds between two lines of a log."""


class Progress:
    """Progress of one evaluation over all its arms.

    Rate and remaining time are those of examples finished since the start of this run.
    """

    def __init__(
        self,
        budgeted: BudgetedClient,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budgeted = budgeted
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._clock = clock
        self._started = clock()
        self._said = self._started if not self._live else 0.0
        self._arms: dict[str, tuple[int, int]] = {}
        self._width = 0

    def arm(self, label: str) -> Callable[[int, int], None]:
        """Return the callback for a look of one arm: its examples done, and its examples in all.

        They come on top of those of the looks before it.
        """
        before, asked = self._arms.get(label, (0, 0))

        def tell(done: int, total: int) -> None:
            self._arms[label] = (before + done, asked + total)
            now = self._clock()
            if now - self._said >= (LIVE_SECONDS if self._live else LOG_SECONDS):
                self._said = now
                self._show(self.line())

        return tell

    def line(self) -> str:
        """All there is to say now, in one line."""
        done = sum(arm[0] for arm in self._arms.values())
        total = sum(arm[1] for arm in self._arms.values())
        seconds = max(1e-9, self._clock() - self._started)
        rate = done / seconds
        parts = [" · ".join(f"{label} {d}/{t}" for label, (d, t) in self._arms.items())]
        parts.append(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        tracker, stats = self._budgeted.tracker, self._budgeted.client.stats
        paid = f"${tracker.usd:.4f}{UNPRICED if tracker.unpriced else ''}"
        parts.append(paid if tracker.usd else count(tracker.tokens, "token"))
        if done < total and rate:
            parts.append(f"{_minutes((total - done) / rate)} left")
        if self._budgeted.cached:
            parts.append(f"{self._budgeted.cached} cached")
        if stats.retried:
            parts.append(f"{stats.retried} asked again, {stats.busy} busy ({stats.trouble})")
        return " · ".join(parts)

    def finish(self) -> None:
        """Say the end, and leave the line to others."""
        if self._arms and self._live:
            self._show(self.line())
            self._stream.write("\n")
            self._stream.flush()

    def _show(self, line: str) -> None:
        if self._live:
            # A line that wraps could not be written over.
            line = line[: shutil.get_terminal_size().columns - 1]
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(f"  {line}\n")
        self._stream.flush()


def _minutes(seconds: float) -> str:
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    clock = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{clock}" if hours else clock.removeprefix("0")
