"""Draw the panels of a dashboard on its own grid of 24 columns, as one SVG without anything else.

Sizes are those of a picture 1440 pixels wide, and chosen to be read at half of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from docs.dashboard_widgets import Axis, Graph, Line, Panel, Table, Words

WIDTH, COLUMN, ROW = 1440, 60, 58
GAP = 6
TITLE, TEXT = 22, 18
CHARACTER = 0.57
"""About the width of a character, by its height."""
HEAD = 64
"""Height of what stands above the panels."""

INK, PALE, GRID, EDGE, GROUND = "#16191f", "#5f6b7a", "#e9ebed", "#d5dbdb", "#f4f5f6"
PALETTE = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
"""The colours that CloudWatch gives to lines without one of their own, in its order."""
STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds between two times on an axis."""
ONLY_ON_AWS = "no data here: only on AWS"
NOTHING = "nothing of it in this time"


def draw(
    shown: Sequence[Panel], *, name: str, span: tuple[float, float], notes: Sequence[str]
) -> str:
    """Return the picture of the dashboard `name`; `notes` are lines of text below it."""
    bottom = HEAD + ROW * max((panel.y + panel.height for panel in shown), default=0)
    below = [line for note in notes for line in _wrapped(note, WIDTH - 4 * GAP, TEXT)]
    height = bottom + 26 * len(below) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img" aria-labelledby="title"'
        ' font-family="Helvetica, Arial, Liberation Sans, sans-serif">',
        f'<title id="title">{escape(f"The dashboard {name}")}</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="{GROUND}"/>',
        _text(2 * GAP, 42, name, size=30, weight="bold"),
        _text(WIDTH - 2 * GAP, 42, _when(*span), size=TITLE, color=PALE, anchor="end"),
    ]
    for panel in shown:
        x, y = panel.x * COLUMN, HEAD + panel.y * ROW
        parts.append(f'<g transform="translate({x} {y})">')
        parts.extend(_panel(panel, panel.width * COLUMN, panel.height * ROW, span))
        parts.append("</g>")
    for number, line in enumerate(below, start=1):
        parts.append(_text(2 * GAP, bottom + 26 * number, line, color=PALE))
    return "\n".join([*parts, "</svg>", ""])


def _when(start: float, end: float) -> str:
    first, last = (datetime.fromtimestamp(time, UTC) for time in (start, end))
    return f"{first:%d %b %Y %H:%M} to {last:%H:%M} UTC"


def _panel(panel: Panel, width: float, height: float, span: tuple[float, float]) -> Iterator[str]:
    if isinstance(panel, Words):
        size = {1: 28, 2: 25}.get(panel.level, TITLE)
        yield _text(2 * GAP, height / 2 + 9, panel.title, size=size, weight="bold")
        return
    yield (
        f'<rect x="{GAP}" y="{GAP}" width="{width - 2 * GAP}" height="{height - 2 * GAP}" rx="8"'
        f' fill="white" stroke="{EDGE}"/>'
    )
    title = _short(panel.title, width - 6 * GAP, TITLE, weight="bold")
    yield _text(3 * GAP, 35, title, size=TITLE, weight="bold")
    if isinstance(panel, Table):
        yield from _table(panel, width, height)
    elif isinstance(panel, Graph):
        yield from _graph(panel, width, height, span)


def _table(table: Table, width: float, height: float) -> Iterator[str]:
    if not table.rows:
        yield _text(width / 2, height / 2 + 10, NOTHING, color=PALE, anchor="middle")
        return
    y = 66.0
    for time, message in table.rows:
        if y > height - 2 * GAP:
            return
        yield _text(3 * GAP, y, time, color=PALE)
        yield _text(3 * GAP + 84, y, _short(message, width - 84 - 6 * GAP, TEXT))
        y += 27


def _graph(graph: Graph, width: float, height: float, span: tuple[float, float]) -> Iterator[str]:
    if not any(line.points for line in graph.lines):
        said = ONLY_ON_AWS if graph.of_aws else NOTHING
        yield _text(width / 2, height / 2 + 16, said, color=PALE, anchor="middle")
        return
    coloured = _coloured(graph.lines)
    rows = list(_legend_rows(coloured, width - 6 * GAP))
    units = bool(graph.left.label or graph.right.label)
    plot = _Plot(
        left=72,
        right=width - (66 if any(line.right and line.points for line in graph.lines) else 24),
        top=74 if units else 56,
        bottom=height - 40 - 24 * len(rows),
        span=span,
    )
    yield from _times(plot)
    scales = {}
    for right, axis in ((False, graph.left), (True, graph.right)):
        lines = [line for line in graph.lines if line.right is right and line.points]
        if lines or not right:
            marks = () if right else tuple(mark.value for mark in graph.marks)
            scales[right] = _Scale.of(lines, axis, marks)
            yield from _values(plot, scales[right], axis, right=right)
    for mark in graph.marks:
        y = plot.y(mark.value, scales[False])
        color = mark.color or INK
        yield (
            f'<path d="M{plot.left:.1f} {y:.1f}H{plot.right:.1f}" stroke="{color}"'
            ' stroke-width="2" stroke-dasharray="8 5" fill="none"/>'
        )
        yield _text(plot.right - 4, y - 6, mark.label, color=color, anchor="end")
    for line, color in coloured:
        if line.points:
            yield from _drawn(line, color, plot, scales[line.right])
    for number, row in enumerate(rows):
        y = height - 22 - 24 * (len(rows) - 1 - number)
        for x, line, color, label in row:
            shade = color if line.points else EDGE
            yield f'<rect x="{x:.1f}" y="{y - 12}" width="14" height="14" rx="3" fill="{shade}"/>'
            yield _text(x + 20, y, label, color=INK if line.points else PALE)


def _coloured(lines: Sequence[Line]) -> list[tuple[Line, str]]:
    taken = {line.color.lower() for line in lines}
    free = iter([color for color in PALETTE if color not in taken] * len(lines))
    return [(line, line.color or next(free)) for line in lines]


def _legend_rows(
    lines: Sequence[tuple[Line, str]], width: float
) -> Iterator[list[tuple[float, Line, str, str]]]:
    """Yield rows of place, line, colour and label; a line without values says so."""
    row: list[tuple[float, Line, str, str]] = []
    x = 3.0 * GAP
    for line, color in lines:
        words = line.label if line.points else f"{line.label}: no data"
        label = _short(words, width - 20, TEXT)
        wide = 20 + _wide(label, TEXT)
        if row and x + wide > width + 3 * GAP:
            yield row
            row, x = [], 3.0 * GAP
        row.append((x, line, color, label))
        x += wide + 22
    if row:
        yield row


class _Scale:
    """The values of one axis, and the steps that are written beside it."""

    def __init__(self, least: float, most: float, step: float) -> None:
        self.least, self.most, self.step = least, most, step

    @classmethod
    def of(cls, lines: Sequence[Line], axis: Axis, marks: Sequence[float]) -> _Scale:
        values = [value for line in lines for _, value in line.points] + list(marks)
        least = min(values, default=0.0) if axis.least is None else axis.least
        most = max(values, default=1.0) if axis.most is None else axis.most
        most = most if most > least else least + 1
        step = _nice((most - least) / 4)
        return cls(least, axis.most or least + step * math.ceil((most - least) / step - 1e-9), step)

    def steps(self) -> Iterator[float]:
        for number in range(math.floor((self.most - self.least) / self.step + 1e-9) + 1):
            yield self.least + number * self.step


class _Plot:
    """Where in a panel the lines are."""

    def __init__(
        self, *, left: float, right: float, top: float, bottom: float, span: tuple[float, float]
    ) -> None:
        self.left, self.right, self.top, self.bottom = left, right, top, bottom
        self.span = span

    def x(self, time: float) -> float:
        start, end = self.span
        return self.left + (time - start) / (end - start) * (self.right - self.left)

    def y(self, value: float, scale: _Scale) -> float:
        part = (value - scale.least) / (scale.most - scale.least)
        return self.bottom - part * (self.bottom - self.top)


def _times(plot: _Plot) -> Iterator[str]:
    start, end = plot.span
    most = max(2, int((plot.right - plot.left) / 90))
    step = next((step for step in STEPS if (end - start) / step <= most), STEPS[-1])
    time = math.ceil(start / step) * step
    while time <= end:
        x = plot.x(time)
        yield (f'<path d="M{x:.1f} {plot.top:.1f}V{plot.bottom:.1f}" stroke="{GRID}" fill="none"/>')
        said = f"{datetime.fromtimestamp(time, UTC):%H:%M}"
        # The last one may not leave the panel.
        x = min(x, plot.right + 16 - _wide(said, TEXT) / 2)
        yield _text(x, plot.bottom + 21, said, color=PALE, anchor="middle")
        time += step


def _values(plot: _Plot, scale: _Scale, axis: Axis, *, right: bool) -> Iterator[str]:
    x, anchor = (plot.right + 8, "start") if right else (plot.left - 8, "end")
    tall = plot.bottom - plot.top
    each = max(1, math.ceil(26 * (scale.most - scale.least) / scale.step / max(tall, 1)))
    for number, value in enumerate(scale.steps()):
        y = plot.y(value, scale)
        if not right:
            yield f'<path d="M{plot.left} {y:.1f}H{plot.right:.1f}" stroke="{GRID}" fill="none"/>'
        if number % each == 0:
            yield _text(x, y + 6, _number(value), color=PALE, anchor=anchor)
    if axis.label:
        where = plot.right if right else plot.left - 54
        anchor = "end" if right else "start"
        yield _text(where, plot.top - 14, axis.label, size=16, color=PALE, anchor=anchor)


def _drawn(line: Line, color: str, plot: _Plot, scale: _Scale) -> Iterator[str]:
    """Draw a line, broken where a value that was to come did not."""
    pieces: list[list[tuple[float, float]]] = []
    for point in sorted(line.points):
        if pieces and point[0] - pieces[-1][-1][0] <= 1.5 * line.expected:
            pieces[-1].append(point)
        else:
            pieces.append([point])
    few = len(line.points) <= 20
    for piece in pieces:
        places = [(plot.x(time), plot.y(value, scale)) for time, value in piece]
        if len(places) > 1:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            yield (
                f'<path d="M{path}" stroke="{color}" stroke-width="3" fill="none"'
                ' stroke-linejoin="round" stroke-linecap="round"/>'
            )
        if few or len(places) == 1:
            for x, y in places:
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{color}"/>'


def _nice(step: float) -> float:
    """Return the least of 1, 2, 2.5, 5 and 10, times a power of ten, that is no less.

    >>> [_nice(step) for step in (0.07, 0.25, 3, 11)]
    [0.1, 0.25, 5.0, 20.0]
    """
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= step * (1 - 1e-9))


def _number(value: float) -> str:
    """Write a value beside an axis.

    >>> [_number(value) for value in (0, 0.25, 12.0, 1500, 2_000_000)]
    ['0', '0.25', '12', '1.5k', '2M']
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.3g}"


def _wide(words: str, size: float, weight: str = "") -> float:
    return len(words) * size * (CHARACTER * 1.04 if weight else CHARACTER)


def _short(words: str, width: float, size: float, weight: str = "") -> str:
    if _wide(words, size, weight) <= width:
        return words
    return words[: max(1, int(width / _wide("x", size, weight)) - 1)].rstrip() + "…"


def _wrapped(words: str, width: float, size: float) -> Iterator[str]:
    line = ""
    for word in words.split():
        if line and _wide(f"{line} {word}", size) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = TEXT,
    color: str = INK,
    anchor: str = "start",
    weight: str = "normal",
) -> str:
    bold = f' font-weight="{weight}"' if weight != "normal" else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{color}"{place}{bold}>'
        f"{escape(words, quote=False)}</text>"
    )
