"""Expressions of GetMetricData: `SEARCH`, and metric math as far as dashboards use it.

Unpatched, the emulator answers every expression with an error. What is not known here still is one,
by its own sentence, and never an empty line.

How this differs from CloudWatch, as far as we know: a metric that nobody has ever published stays
empty under `FILL`, too, so that no zero is drawn for what is not counted here.
"""

from __future__ import annotations

import ast
import operator
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch

from local_aws.settings import CloudSettings

Query = Mapping[str, Any]
"""A `MetricDataQuery`."""
Points = dict[int, float]
"""Values by the second at which their period begins."""

_SEARCH = re.compile(r"SEARCH\(\s*'\{([^}]+)\}\s*(.*?)\s*'\s*,\s*'([^']+)'\s*,\s*(\d+)\s*\)", re.S)
_WORD = re.compile(r'\s*"?([\w.:-]+)"?="([^"]*)"')
_PROPERTY = re.compile(r"\$\{PROP\('([\w.]+)'\)\}")
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class UnknownExpressionError(ValueError):
    """An expression that is not evaluated here."""


@dataclass(frozen=True)
class Series:
    """One line: the values of a metric, or what was calculated of some."""

    points: Points
    period: int
    label: str = ""
    published: bool = True
    """Whether anybody ever published what it is made of."""


@dataclass(frozen=True)
class Window:
    """The time that was asked for, in seconds; the end is not in it."""

    start: float
    end: float


def install(_settings: CloudSettings) -> None:
    """Answer requests with an expression in them; the emulator answers the others."""
    answer = cloudwatch._get_metric_data

    def get_metric_data(
        params: Mapping[str, Any], data: Mapping[str, Any], is_cbor: bool, is_json: bool = False
    ) -> object:
        queries = data.get("MetricDataQueries") or []
        if not any("Expression" in query for query in queries):
            return answer(params, data, is_cbor, is_json)
        end = cloudwatch._parse_ts(data.get("EndTime")) or time.time()
        window = Window(cloudwatch._parse_ts(data.get("StartTime")) or 0.0, end)
        results = list(_results(queries, window))
        if data.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            for result in results:
                result["Timestamps"].reverse()
                result["Values"].reverse()
        if is_cbor:
            results = [cloudwatch._cbor_metric_data_result(result) for result in results]
            return cloudwatch._cbor_ok({"MetricDataResults": results})
        return cloudwatch._json_ok({"MetricDataResults": results})

    cloudwatch._get_metric_data = get_metric_data


def _results(queries: list[Query], window: Window) -> Iterator[dict[str, Any]]:
    by_id = {query["Id"]: query for query in queries}
    for query in queries:
        if not query.get("ReturnData", True):
            continue
        try:
            found = evaluate(query, by_id, window)
        except UnknownExpressionError as error:
            message = {"Code": "Unsupported", "Value": str(error)}
            yield _result(query["Id"], Series({}, 0)) | {
                "StatusCode": "InternalError",
                "Messages": [message],
            }
            continue
        for series in found:
            yield _result(query["Id"], series)


def _result(id_: str, series: Series) -> dict[str, Any]:
    stamps = sorted(series.points)
    return {
        "Id": id_,
        "Label": series.label,
        "Timestamps": [cloudwatch._ts_iso(stamp) for stamp in stamps],
        "Values": [series.points[stamp] for stamp in stamps],
        "StatusCode": "Complete",
    }


def evaluate(query: Query, by_id: Mapping[str, Query], window: Window) -> list[Series]:
    """Return the lines of a query; those of a search are any number.

    Raises:
        UnknownExpressionError: if its expression, or one that it names, is not known here.
    """
    expression = query.get("Expression")
    label = query.get("Label") or query["Id"]
    if expression is None:
        stat = query["MetricStat"]
        metric = stat["Metric"]
        dimensions = cloudwatch._dims_from_list(metric.get("Dimensions") or [])
        key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
        return [_of_metric(key, stat["Stat"], int(stat["Period"]), label, window)]
    if expression.lstrip().startswith("SEARCH"):
        return _search(expression, query.get("Label") or "", window)
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError:
        raise UnknownExpressionError(f"{expression}: not evaluated here") from None
    found = _calculate(tree.body, by_id, window)
    if not isinstance(found, Series):
        raise UnknownExpressionError(f"{expression}: a number is no line")
    return [Series(found.points, found.period, label, found.published)]


def _of_metric(
    key: tuple[str, str, str], statistic: str, period: int, label: str, window: Window
) -> Series:
    all_points = cloudwatch._metrics.get(key) or []
    buckets: dict[int, list[dict[str, Any]]] = {}
    for point in all_points:
        if window.start <= point["Timestamp"] < window.end:
            begin = int(point["Timestamp"] // period) * period
            buckets.setdefault(begin, []).append(point)
    points: Points = {}
    for begin, inside in buckets.items():
        value = cloudwatch._stat_value(cloudwatch._calc_stats(inside), statistic, inside)
        if value is not None:
            points[begin] = value
    return Series(points, period, label, bool(all_points))


def _search(expression: str, label: str, window: Window) -> list[Series]:
    """Return a line for each metric of exactly the dimensions, and with the words, that are said.

    A label without a property of its own is what all lines' labels begin with, as on CloudWatch.
    """
    match = _SEARCH.fullmatch(expression.strip())
    words = dict(_WORD.findall(match[2])) if match else {}
    if match is None or _WORD.sub("", match[2]).strip() or "MetricName" not in words:
        raise UnknownExpressionError(f"{expression}: a search that is not evaluated here")
    namespace, *names = (part.strip().strip('"') for part in match[1].split(","))
    name = words.pop("MetricName")
    found: list[tuple[tuple[str, str, str], dict[str, str]]] = []
    for key, points in list(cloudwatch._metrics.items()):
        dimensions = points[0].get("Dimensions", {}) if points else {}
        if (
            key[:2] == (namespace, name)
            and set(dimensions) == set(names)
            and words.items() <= dimensions.items()
        ):
            found.append((key, dimensions))
    lines = []
    for key, dimensions in sorted(found, key=lambda each: each[0]):
        if "${" in label or (len(found) == 1 and label.strip()):
            shown = _PROPERTY.sub(lambda part: _property(part[1], key, dimensions), label)  # noqa: B023
        else:
            varying = [value for name, value in dimensions.items() if name not in words]
            shown = " ".join([label.strip(), *varying]).strip()
        lines.append(_of_metric(key, match[3], int(match[4]), shown, window))
    return [line for line in lines if line.points]


def _property(name: str, key: tuple[str, str, str], dimensions: Mapping[str, str]) -> str:
    if name.startswith("Dim."):
        return dimensions.get(name.removeprefix("Dim."), "")
    return {"Namespace": key[0], "MetricName": key[1]}.get(name, "")


def _calculate(node: ast.expr, by_id: Mapping[str, Query], window: Window) -> Series | float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in by_id:
            found = evaluate(by_id[name], by_id, window)
            if len(found) == 1:
                return found[0]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _combine(
                _OPERATORS[type(op)],
                _calculate(left, by_id, window),
                _calculate(right, by_id, window),
            )
        case ast.Call(func=ast.Name(id="PERIOD"), args=[argument]):
            of = _calculate(argument, by_id, window)
            if isinstance(of, Series):
                return float(of.period)
        case ast.Call(func=ast.Name(id="FILL"), args=[argument, ast.Constant(value=int(number))]):
            of = _calculate(argument, by_id, window)
            if isinstance(of, Series):
                return _fill(of, float(number), window)
    raise UnknownExpressionError(f"{ast.unparse(node)}: not evaluated here")


def _fill(series: Series, number: float, window: Window) -> Series:
    if not series.published:
        return series
    first = int(window.start // series.period) * series.period
    begins = range(first, int(window.end), series.period)
    points = {begin: series.points.get(begin, number) for begin in begins}
    return Series(points, series.period)


def _combine(
    calculate: Callable[[float, float], float], left: Series | float, right: Series | float
) -> Series | float:
    """Calculate where both sides have a value; what cannot be divided has none."""
    if isinstance(left, float) and isinstance(right, float):
        return calculate(left, right)
    sides = [side for side in (left, right) if isinstance(side, Series)]
    begins = set.intersection(*(set(side.points) for side in sides))
    points = {}
    for begin in begins:
        one, other = (s.points[begin] if isinstance(s, Series) else s for s in (left, right))
        try:
            points[begin] = calculate(one, other)
        except ZeroDivisionError:
            continue
    published = all(side.published for side in sides)
    return Series(points, sides[0].period, published=published)
