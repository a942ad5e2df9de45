"""How many calls the service has in hand, and whether it takes on another.

A call beyond the bound is sent away at once: a queue that grows answers nobody in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Protocol

from prompt_hub.core import aws_names
from prompt_hub.core.embedded_metrics import MEMBER, directive, metadata
from prompt_hub.service.execution_log import log_line

MAX_CALLS = 512
"""Calls in hand at once, by default: more than a model's own limit lets through, so that short
bursts wait their turn, and few enough that the last of them is answered in time."""


@cache
def _refused() -> list[dict[str, object]]:
    metrics = ((name, "Count") for name in (aws_names.CALLS_REFUSED, aws_names.CALLS_OVER_QUOTA))
    return directive(aws_names.calls_namespace(), ("stage",), *metrics)


class Counts(Protocol):
    """One number for each process of the service; a part of memory that they share, or a list."""

    def __getitem__(self, place: int, /) -> int:
        """Return the number of one process."""

    def __setitem__(self, place: int, number: int, /) -> None:
        """Set it."""

    def __iter__(self) -> Iterator[int]:
        """Iterate over the numbers of all."""


class Admission:
    """Counts the calls in hand of one process, and takes none on beyond the bound of all."""

    def __init__(
        self, most: int = MAX_CALLS, counts: Counts | None = None, process: int = 0
    ) -> None:
        """Bound the calls in hand.

        Args:
            most: of all processes together. Each writes its own count alone, so two of them may
                both take the last place; there are never more calls than `most` and the processes.
            counts: the calls in hand of each process.
            process: the place of this one.
        """
        self.most = most
        self._counts: Counts = [0] if counts is None else counts
        self._process = process

    def enter(self) -> bool:
        """Take a call on; returns whether there was room. Each that was is to leave once."""
        if sum(self._counts) >= self.most:
            return False
        self._counts[self._process] += 1
        return True

    def leave(self) -> None:
        """Give the place of a call back."""
        self._counts[self._process] -= 1


class Refusals:
    """Counts the calls that are sent away, and logs how many, once a second.

    A line for each would cost an overloaded service as much as the refusal.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._counts = self._none()

    @staticmethod
    def _none() -> dict[str, int]:
        return {aws_names.CALLS_REFUSED: 0, aws_names.CALLS_OVER_QUOTA: 0}

    def add(self, why: str = aws_names.CALLS_REFUSED) -> None:
        """Count a call, on the event loop; `why` is one of the two metrics."""
        if not any(self._counts.values()):
            asyncio.get_running_loop().call_later(1.0, self.say)
        self._counts[why] += 1

    def say(self) -> None:
        """Log what was not logged yet."""
        counts, self._counts = self._counts, self._none()
        if any(counts.values()):
            log_line("calls_refused", stage=self._stage, **counts, **{MEMBER: metadata(_refused())})
