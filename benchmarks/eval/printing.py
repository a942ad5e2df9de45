"""Tables and checks, as Markdown, so that they can be pasted where they are wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Check:
    """One promise: a number, and the most or the least that it may be."""

    name: str
    found: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    measured: str = ""
    """Our own figure, where `found` is a ratio."""
    beside: str = ""
    """The figure that it is a ratio of."""
    runs: int = 1
    """How many runs the figures are the medians of."""

    @property
    def kept(self) -> bool:
        """Whether the number is within its limit."""
        return (self.at_most is None or self.found <= self.at_most) and (
            self.at_least is None or self.found >= self.at_least
        )

    @property
    def row(self) -> list[str]:
        """The check as a row: name, number, limit, result."""
        sign, limit = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        sign = "=" if self.at_most == self.at_least else sign
        assert limit is not None
        digits = ".0f" if float(self.found).is_integer() else ".3f"
        return [
            self.name,
            f"{self.found:{digits}} {self.unit}".rstrip(),
            f"{sign} {limit:.10g} {self.unit}".rstrip(),
            "ok" if self.kept else "MISSED",
        ]


CHECK_HEADER = ("check", "found", "limit", "")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is aligned left, numbers right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * widths[0]}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])


def number(value: float | None, digits: int = 2) -> str:
    """A number as a cell; a dash where there is none."""
    return "—" if value is None else f"{value:.{digits}f}"


def machine() -> str:
    """What this machine is doing besides, in one line: numbers of a busy one are noise."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    noisy = "; busy with other work: read ratios, not seconds" if load > cores / 2 else ""
    return f"{cores} cores, load {load:.2f} before the run{noisy}"
