"""Metric math of alarms: as much of CloudWatch's as the project's own alarms use.

Numbers, ids of metrics, `+ - * /`, one comparison and `IF(condition, value, value)`. Anything else,
a search above all, is refused when the alarm is made: an alarm that never fires looks like a good
day.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARED: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class UnsupportedMathError(Exception):
    """An alarm's metrics are none that are evaluated here."""


@dataclass(frozen=True)
class Series:
    """A metric that an expression reads, by its id."""

    namespace: str
    metric: str
    dimensions: Sequence[Mapping[str, str]]
    statistic: str
    unit: str | None


@dataclass(frozen=True)
class Expression:
    """What an alarm on an expression looks at."""

    series: Mapping[str, Series]
    period: int
    tree: ast.expr

    @classmethod
    def of(cls, metrics: Sequence[Mapping[str, Any]]) -> Expression:
        """Read the `Metrics` of an alarm; raises `UnsupportedMathError` for what is not known."""
        expressions = [query for query in metrics if query.get("Expression")]
        if len(expressions) != 1:
            raise UnsupportedMathError(f"{len(expressions)} expressions in one alarm")
        text = str(expressions[0]["Expression"])
        statistics = {
            str(query["Id"]): query["MetricStat"] for query in metrics if "MetricStat" in query
        }
        periods = {int(statistic["Period"]) for statistic in statistics.values()}
        if len(periods) != 1:
            raise UnsupportedMathError(f"{text}: metrics of {len(periods)} periods")
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise UnsupportedMathError(f"{text}: {error.msg}") from None
        _check(tree, statistics)
        series = {
            name: Series(
                namespace=statistic["Metric"]["Namespace"],
                metric=statistic["Metric"]["MetricName"],
                dimensions=statistic["Metric"].get("Dimensions") or [],
                statistic=statistic["Stat"],
                unit=statistic.get("Unit"),
            )
            for name, statistic in statistics.items()
        }
        return cls(series, periods.pop(), tree)

    def value(self, values: Mapping[str, float]) -> float | None:
        """Return the value for one period; None where CloudWatch has no datapoint.

        A period in which a metric of the expression has no data has none, and nor has a division by
        zero.
        """
        if values.keys() != self.series.keys():
            return None
        try:
            return float(_value(self.tree, values))
        except ZeroDivisionError:
            return None


def _check(tree: ast.expr, known: Mapping[str, object]) -> None:
    match tree:
        case ast.Constant(value=int() | float()):
            pass
        case ast.Name(id=name) if name in known:
            pass
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, known)
            _check(right, known)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            _check(left, known)
            _check(right, known)
        case ast.Call(func=ast.Name(id="IF"), args=[condition, yes, no], keywords=[]):
            for part in (condition, yes, no):
                _check(part, known)
        case _:
            raise UnsupportedMathError(
                f"metric math is not evaluated here: {ast.unparse(tree)}; numbers, ids of metrics,"
                " + - * /, one comparison and IF(condition, value, value) are"
            )


def _value(tree: ast.expr, values: Mapping[str, float]) -> float:
    match tree:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[compared], comparators=[right]):
            return _COMPARED[type(compared)](_value(left, values), _value(right, values))
        case ast.Call(args=[condition, yes, no]):
            return _value(yes if _value(condition, values) else no, values)
        case _:
            raise AssertionError("checked when it was read")
