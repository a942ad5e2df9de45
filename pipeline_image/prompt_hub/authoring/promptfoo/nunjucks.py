"""What Nunjucks makes of a template, told from its Jinja2 tree: the measure of every translation.

Templates of both languages look alike and mean different things: an empty list is true there, `2`
equals `'2'`, `title` and `round` are other functions. No list of such differences is ever complete.
So nothing is translated on trust: what Nunjucks would write is worked out here for every test, and
compared with what our own template writes. Whatever is not known here counts as different.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.javascript import (
    UNDEFINED,
    Undefined,
    UnknownMeaningError,
    Value,
)

MAX_STEPS = 200_000
"""Nodes that are looked at for one text; a loop inside loops of a configuration ends here."""
_GLOBALS = ("env", "range", "cycler", "joiner")
_INHERITED = ("constructor", "hasOwnProperty", "toString", "valueOf", "isPrototypeOf")

Scope = Mapping[str, Value]


class Nunjucks:
    """Evaluates the tree of one template."""

    def __init__(self, tree: nodes.Template) -> None:
        self._tree = tree
        self._left = MAX_STEPS

    def text(self, values: Scope) -> str:
        """Return the text; raises `UnknownMeaningError`."""
        self._left = MAX_STEPS
        try:
            return "".join(self._body(self._tree.body, values))
        except (RecursionError, UnicodeError) as error:
            raise UnknownMeaningError(str(error)) from None

    def _body(self, body: list[nodes.Node], scope: Scope) -> Iterator[str]:
        for node in body:
            match node:
                case nodes.Output():
                    for part in node.nodes:
                        if isinstance(part, nodes.TemplateData):
                            yield part.data
                        else:
                            yield js.text(self._value(part, scope))
                case nodes.If():
                    yield from self._if(node, scope)
                case nodes.For():
                    yield from self._loop(node, scope)
                case _:
                    raise UnknownMeaningError(type(node).__name__)

    def _if(self, node: nodes.If, scope: Scope) -> Iterator[str]:
        for branch in (node, *node.elif_):
            if js.truthy(self._value(branch.test, scope)):
                yield from self._body(branch.body, scope)
                return
        yield from self._body(node.else_, scope)

    def _loop(self, node: nodes.For, scope: Scope) -> Iterator[str]:
        over = self._value(node.iter, scope)
        if not isinstance(node.target, nodes.Name) or (isinstance(over, str) and over):
            raise UnknownMeaningError("a loop over something else than a list")
        items = over if isinstance(over, list) else []
        for index, item in enumerate(items):
            state: Value = {
                "index": index + 1,
                "index0": index,
                "first": not index,
                "last": index == len(items) - 1,
                "length": len(items),
            }
            yield from self._body(node.body, {**scope, node.target.name: item, "loop": state})
        if not items:
            yield from self._body(node.else_, scope)

    def _value(self, node: nodes.Node, scope: Scope) -> Value:
        self._left -= 1
        if self._left < 0:
            raise UnknownMeaningError("more steps than a prompt takes")
        match node:
            case nodes.Const(value=constant):
                return js.number(constant) if type(constant) in (int, float) else constant
            case nodes.Name(name=name):
                if name in _GLOBALS and name not in scope:
                    raise UnknownMeaningError(f"the global {name!r}")
                return scope.get(name, UNDEFINED)
            case nodes.List(items=items):
                found = [self._value(item, scope) for item in items]
                return [None if isinstance(item, Undefined) else item for item in found]
            case nodes.Getattr(node=of, attr=name):
                return _member(self._value(of, scope), name)
            case nodes.Getitem(node=of, arg=nodes.Const(value=str() | int() as name)):
                return _member(self._value(of, scope), str(name))
            case nodes.And(left=left, right=right):
                value = self._value(left, scope)
                return self._value(right, scope) if js.truthy(value) else value
            case nodes.Or(left=left, right=right):
                value = self._value(left, scope)
                return value if js.truthy(value) else self._value(right, scope)
            case nodes.Not(node=of):
                return not js.truthy(self._value(of, scope))
            case nodes.CondExpr(test=test, expr1=yes, expr2=no):
                if js.truthy(self._value(test, scope)):
                    return self._value(yes, scope)
                return self._value(no, scope) if no is not None else ""
            case nodes.Compare(expr=left, ops=[operand]) if operand.op in _OPERATORS:
                if any(isinstance(side, nodes.Test) for side in (left, operand.expr)):
                    raise UnknownMeaningError("a test beside a comparison")  # It binds otherwise.
                value, other = self._value(left, scope), self._value(operand.expr, scope)
                return _compared(operand.op, value, other)
            case nodes.Test(node=of, name=name) if name in TESTS:
                return TESTS[name](self._value(of, scope))
            case nodes.Filter(node=nodes.Node() as of, name=name, args=args) if name in FILTERS:
                values = [self._value(item, scope) for item in (of, *args)]
                try:
                    return FILTERS[name](*values)
                except (TypeError, ValueError):
                    raise UnknownMeaningError(f"the filter {name!r} of such a value") from None
        raise UnknownMeaningError(type(node).__name__)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "gt": operator.gt,
    "lteq": operator.le,
    "gteq": operator.ge,
}
_SORTS: tuple[type | tuple[type, ...], ...] = (str, bool, (int, float))


def _compared(name: str, left: Value, right: Value) -> bool:
    """Compare values of one sort: what JavaScript makes of two sorts is listed, not translated."""
    sorts = [next((sort for sort in _SORTS if isinstance(v, sort)), None) for v in (left, right)]
    if sorts[0] is None or sorts[0] != sorts[1]:
        raise UnknownMeaningError("a comparison of values of two types")
    if name not in ("eq", "ne") and not isinstance(left, int | float):
        raise UnknownMeaningError("an order of texts")
    return _OPERATORS[name](left, right)


def _member(value: Value, key: str) -> Value:
    if key in _INHERITED or key.startswith("__"):
        raise UnknownMeaningError(f"the member {key!r}")
    match value:
        case dict():
            return value.get(key, UNDEFINED)
        case list() if key.isdecimal() and key == str(int(key)):
            return value[int(key)] if int(key) < len(value) else UNDEFINED
        case list() | str():
            raise UnknownMeaningError(f"the member {key!r} of a {type(value).__name__}")
    return UNDEFINED


TESTS: dict[str, Callable[[Value], bool]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "undefined": lambda value: isinstance(value, Undefined),
    "none": lambda value: value is None,
    "string": lambda value: isinstance(value, str),
    "number": lambda value: type(value) in (int, float),
    "mapping": lambda value: isinstance(value, dict),
}


def _of_text(function: Callable[[str], str]) -> Callable[[Value], Value]:
    def apply(value: Value) -> Value:
        if value is None or value is False or isinstance(value, Undefined):
            return function("")
        if not isinstance(value, str):
            raise TypeError
        return function(value)

    return apply


def _default(value: Value, instead: Value = UNDEFINED, also_if_false: Value = False) -> Value:
    if js.truthy(also_if_false):
        return value if js.truthy(value) else instead
    return instead if isinstance(value, Undefined) else value


def _element(value: Value, index: int) -> Value:
    if not isinstance(value, list | str) or (isinstance(value, str) and not value.isascii()):
        raise TypeError
    return value[index] if value else UNDEFINED


def _join(value: Value, separator: Value = "") -> Value:
    if not isinstance(value, list) or not isinstance(separator, str):
        raise TypeError
    return separator.join(map(js.text, value))


def _length(value: Value) -> Value:
    if not isinstance(value, list | str):  # `.length` and the filter differ for all others.
        raise TypeError
    return js.length(value) if isinstance(value, str) else len(value)


def _dump(value: Value, how: Value = True) -> Value:
    if isinstance(value, Undefined):
        return UNDEFINED
    return js.as_json(value, how if type(how) is int else None)


FILTERS: dict[str, Callable[..., Value]] = {
    "default": _default,
    "first": lambda value: _element(value, 0),
    "join": _join,
    "last": lambda value: _element(value, -1),
    "length": _length,
    "lower": _of_text(str.lower),
    "tojson": _dump,
    "trim": _of_text(js.trim),
    "upper": _of_text(str.upper),
}
"""Those that are translated; `tojson` is what 'dump' was rewritten as."""
