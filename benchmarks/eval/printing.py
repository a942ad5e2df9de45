"""Tables as Markdown, so that they can be pasted where they are wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence


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
