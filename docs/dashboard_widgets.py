"""What a CloudWatch dashboard shows: its body, and its metrics' values, as panels to be drawn.

Pure: whoever calls gives `ask`, which answers a widget's queries as GetMetricData does, and `find`,
which answers a query of logs. What a body may say beyond what our dashboards say is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

Json = Mapping[str, object]

_PERIOD = 300
"""What CloudWatch takes, in seconds, where a body says no period."""
_SEARCHED = re.compile(r"(SEARCH\(.*,\s*'(\w+)'\s*,\s*)(\d+)(\s*\))", re.S)
_OF_AWS = ("AWS/", "ECS/")
"""What the namespaces begin with that AWS's services publish into."""
_COUNTS = ("Sum", "SampleCount")
"""Statistics that have no value where nothing happened: the next period would have had one."""
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SOURCE = re.compile(r"SOURCE '([^']+)'")


class BodyError(ValueError):
    """A dashboard says something that is not drawn here."""


@dataclass(frozen=True)
class Line:
    """One line of a graph; each point is a time, in seconds since 1970, and a value."""

    label: str
    points: tuple[tuple[float, float], ...]
    expected: float
    """Seconds in which a next value is to come; where none does, there is a gap."""
    color: str = ""
    right: bool = False
    filled: bool = False
    """Whether values that are missing were filled in."""


@dataclass(frozen=True)
class Axis:
    """One of the two vertical axes, as the dashboard sets it."""

    label: str = ""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Mark:
    """A horizontal line at a value."""

    value: float
    label: str
    color: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A widget in its place on the grid of 24 columns."""

    x: int
    y: int
    width: int
    height: int
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Words(Panel):
    """A heading: the title, `level` 1 for the largest."""

    level: int = 1


@dataclass(frozen=True, kw_only=True)
class Graph(Panel):
    """Lines over time."""

    lines: tuple[Line, ...] = ()
    left: Axis = field(default_factory=Axis)
    right: Axis = field(default_factory=Axis)
    marks: tuple[Mark, ...] = ()
    of_aws: bool = False
    """Whether all of its metrics are those that AWS's services publish."""


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """Lines of a log: time and message, the newest first."""

    rows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Found:
    """What GetMetricData answers to one query, or one metric of a search."""

    id: str
    label: str
    points: tuple[tuple[float, float], ...]


Ask = Callable[[list[Json]], list[Found]]
Find = Callable[[list[str], str], list[tuple[str, str]]]


def panels(body: Json, *, ask: Ask, find: Find, period: int | None = None) -> list[Panel]:
    """Return what a dashboard's body shows; `period`, in seconds, takes the place of its own.

    CloudWatch has the same override beside the time range of an opened dashboard.

    Raises:
        BodyError: if the body has a widget, or a row of metrics, of a form that ours do not have.
    """
    made: list[Panel] = []
    for widget in cast(list[Json], body["widgets"]):
        properties = cast(Json, widget["properties"])
        kind = widget["type"]
        place = Panel(
            **{name: cast(int, widget.get(name, 0)) for name in ("x", "y", "width", "height")},
            title=_plain(str(properties.get("title", ""))),
        )
        if kind == "text":
            made.append(_words(place, str(properties["markdown"])))
        elif kind == "log":
            query = str(properties["query"])
            groups = _SOURCE.findall(query)
            asked = " | ".join(p for p in query.split(" | ") if not p.startswith("SOURCE"))
            rows = find(groups, asked.replace("\n", " "))
            made.append(Table(**vars(place), rows=tuple(rows)))
        elif kind == "metric" and properties.get("view", "timeSeries") == "timeSeries":
            made.append(_graph(place, properties, ask, period))
        else:
            raise BodyError(f"{place.title or kind}: a widget of a form that is not drawn here")
    return made


def _words(place: Panel, markdown: str) -> Words:
    first = markdown.strip().splitlines()[0]
    level = len(first) - len(first.lstrip("#"))
    return Words(**{**vars(place), "title": _plain(first.lstrip("# "))}, level=max(1, level))


def _plain(markdown: str) -> str:
    """Return the words of a line of Markdown; where a link leads is for the console alone."""
    return re.sub(r"[*`]", "", _LINK.sub(r"\1", markdown)).strip()


@dataclass(frozen=True)
class _Row:
    """One row of a widget's metrics."""

    query: Json
    expected: int
    color: str
    right: bool

    @property
    def filled(self) -> bool:
        return "FILL(" in str(self.query.get("Expression", ""))

    @property
    def of_aws(self) -> bool:
        """Whether it is a metric of AWS's own, or calculated of others of the same widget."""
        stat = cast(Mapping[str, Json], self.query.get("MetricStat", {}))
        searched = re.search(r"SEARCH\('\{\"([^\"]+)", str(self.query.get("Expression", "")))
        namespace = str(stat["Metric"]["Namespace"]) if stat else searched[1] if searched else ""
        return not namespace or namespace.startswith(_OF_AWS)


def _graph(place: Panel, properties: Json, ask: Ask, period: int | None) -> Graph:
    rows = list(_rows(properties, period))
    by_id = {str(row.query["Id"]): row for row in rows}
    found = ask([row.query for row in rows])
    lines = tuple(
        Line(
            label=result.label,
            points=result.points,
            expected=by_id[result.id].expected,
            color=by_id[result.id].color,
            right=by_id[result.id].right,
            filled=by_id[result.id].filled,
        )
        for result in found
    )
    axes = cast(Mapping[str, Json], properties.get("yAxis", {}))
    annotations = cast(Json, properties.get("annotations", {}))
    marks = tuple(
        Mark(float(cast(float, m["value"])), str(m.get("label", "")), str(m.get("color", "")))
        for m in cast(Sequence[Json], annotations.get("horizontal", ()))
    )
    return Graph(
        **vars(place),
        lines=lines,
        left=_axis(axes.get("left", {})),
        right=_axis(axes.get("right", {})),
        marks=marks,
        of_aws=all(row.of_aws for row in rows),
    )


def _rows(properties: Json, period: int | None) -> Iterator[_Row]:
    """Yield each row of metrics as a query for GetMetricData."""
    for number, row in enumerate(cast(Sequence[Sequence[object]], properties["metrics"])):
        *names, last = row
        options = cast(Json, last) if isinstance(last, dict) else {}
        names = names if isinstance(last, dict) else [*names, last]
        if any(name in (".", "...") for name in names):
            raise BodyError(f"{properties.get('title')}: a row of metrics in its short form")
        own = int(cast(int, options.get("period", properties.get("period", _PERIOD))))
        query: dict[str, object] = {
            "Id": str(options.get("id", f"row{number}")),
            "ReturnData": bool(options.get("visible", True)),
        }
        if names:
            namespace, metric, *rest = map(str, names)
            dimensions = zip(rest[::2], rest[1::2], strict=True)
            statistic = str(options.get("stat", properties.get("stat", "Average")))
            query["Label"] = str(options.get("label", metric))
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
                },
                "Period": period or own,
                "Stat": statistic,
            }
        else:
            expression, statistic = str(options["expression"]), ""
            if searched := _SEARCHED.fullmatch(expression.strip()):
                statistic, own = searched[2], int(searched[3])
                expression = f"{searched[1]}{period or own}{searched[4]}"
            query["Label"] = str(options.get("label", expression))
            query["Expression"] = expression
        expected = (period or own) if statistic in _COUNTS else own
        yield _Row(query, expected, str(options.get("color", "")), options.get("yAxis") == "right")


def _axis(said: Json) -> Axis:
    least, most = said.get("min"), said.get("max")
    return Axis(
        label=str(said.get("label", "")),
        least=None if least is None else float(cast(float, least)),
        most=None if most is None else float(cast(float, most)),
    )


def span(shown: Sequence[Panel]) -> tuple[float, float] | None:
    """Return the times of the first and the last value that was measured; None without any."""
    times = [
        time
        for panel in shown
        if isinstance(panel, Graph)
        for line in panel.lines
        if not line.filled
        for time, _ in line.points
    ]
    return (min(times), max(times)) if times else None


def within(shown: Sequence[Panel], start: float, end: float) -> list[Panel]:
    """Return the panels with the points that lie in a span, its end with it."""
    cut: list[Panel] = []
    for panel in shown:
        if isinstance(panel, Graph):
            lines = tuple(
                replace(line, points=tuple(p for p in line.points if start <= p[0] <= end))
                for line in panel.lines
            )
            cut.append(replace(panel, lines=lines))
        else:
            cut.append(panel)
    return cut
