"""What Nunjucks makes of a template, told from its Jinja2 tree: the measure of every translation.

Templates of both languages look alike and mean different things: an empty list is true there, `2`
equals `'2'`, `title` and `round` are other functions. No list of such differences is ever complete.
So nothing is translated on trust: what Nunjucks would write is worked out here for every test, and
compared with what our own template writes. Whatever is not known here counts as different.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cmp_to_key

from jinja2 import nodes

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo.javascript import UNDEFINED, Undefined, Value

MAX_STEPS = 200_000
"""Nodes that are looked at for one text; a loop inside loops of a configuration ends here."""
_GLOBALS = ("env", "range", "cycler", "joiner")
_INHERITED = ("constructor", "hasOwnProperty", "toString", "valueOf", "isPrototypeOf")

Scope = Mapping[str, Value]


class UnknownMeaningError(Exception):
    """Nunjucks stops here, or what it does is not known."""


class Nunjucks:
    """Evaluates the tree of one template."""

    def __init__(self, tree: nodes.Template, *, strict: bool, members: bool) -> None:
        """Take a tree.

        Args:
            tree: the template as Jinja2 parsed it.
            strict: whether its `==` were written `===`.
            members: whether its filters `length` were written `.length`.
        """
        self._tree = tree
        self._strict = strict
        self._members = members
        self._left = MAX_STEPS

    def text(self, values: Mapping[str, Value]) -> str:
        """Return the text; raises `UnknownMeaningError`."""
        self._left = MAX_STEPS
        try:
            return "".join(self._body(self._tree.body, values))
        except (ArithmeticError, RecursionError, UnicodeError) as error:
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
        if not isinstance(node.target, nodes.Name) or node.test is not None:
            raise UnknownMeaningError("a loop of another form")
        if isinstance(over, str) and over:
            raise UnknownMeaningError("a loop over the characters of a text")
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
            case nodes.Getitem(node=of, arg=argument) if not isinstance(argument, nodes.Slice):
                return _member(self._value(of, scope), self._value(argument, scope))
            case nodes.And(left=left, right=right):
                value = self._value(left, scope)
                return self._value(right, scope) if js.truthy(value) else value
            case nodes.Or(left=left, right=right):
                value = self._value(left, scope)
                return value if js.truthy(value) else self._value(right, scope)
            case nodes.Not(node=of):
                return not js.truthy(self._value(of, scope))
            case nodes.Neg(node=of):
                return js.number(-js.as_number(self._value(of, scope)))
            case nodes.CondExpr(test=test, expr1=yes, expr2=no):
                if js.truthy(self._value(test, scope)):
                    return self._value(yes, scope)
                return self._value(no, scope) if no is not None else ""
            case nodes.Compare(expr=left, ops=[operand]) if not isinstance(left, nodes.Test):
                if not isinstance(operand.expr, nodes.Test):
                    value, other = self._value(left, scope), self._value(operand.expr, scope)
                    return self._compared(operand.op, value, other)
            case nodes.Test(node=of, name=name):
                return self._tested(name, self._value(of, scope))
            case nodes.Filter(node=nodes.Node() as of, name=name, args=args):
                value = self._value(of, scope)
                return self._filtered(name, value, [self._value(item, scope) for item in args])
        raise UnknownMeaningError(type(node).__name__)

    def _compared(self, operator: str, left: Value, right: Value) -> bool:
        same = js.identical if self._strict else js.alike
        match operator:
            case "eq":
                return same(left, right)
            case "ne":
                return not same(left, right)
            case "lt":
                return js.before(left, right)
            case "gt":
                return js.before(right, left)
            case "lteq":
                return js.at_most(left, right)
            case "gteq":
                return js.at_most(right, left)
            case "in" | "notin" if isinstance(right, str) and isinstance(left, str):
                return (left in right) is (operator == "in")
            case "in" | "notin" if isinstance(right, list):
                return any(js.identical(left, item) for item in right) is (operator == "in")
            case "in" | "notin" if isinstance(right, dict):
                return (js.text(left) in right) is (operator == "in")
        raise UnknownMeaningError(f"the operator {operator}")

    def _tested(self, name: str, value: Value) -> bool:
        match name:
            case "defined":
                return not isinstance(value, Undefined)
            case "undefined":
                return isinstance(value, Undefined)
            case "none":
                return value is None
            case "string":
                return isinstance(value, str)
            case "number":
                return isinstance(value, int | float) and not isinstance(value, bool)
            case "mapping":
                return isinstance(value, dict)
        raise UnknownMeaningError(f"the test {name!r}")

    def _filtered(self, name: str, value: Value, arguments: list[Value]) -> Value:
        if name == "length" and self._members:
            return _member(value, "length")
        known = _FILTERS.get(name)
        if known is None:
            raise UnknownMeaningError(f"the filter {name!r}")
        try:
            return known(value, *arguments)
        except (TypeError, ValueError):
            raise UnknownMeaningError(f"the filter {name!r} of such a value") from None


def _member(value: Value, name: Value) -> Value:
    key = js.text(name)
    if key in _INHERITED or key.startswith("__"):
        raise UnknownMeaningError(f"the member {key!r}")
    match value:
        case dict():
            return value.get(key, UNDEFINED)
        case list() if key == "length":
            return len(value)
        case str() if key == "length":
            return js.length(value)
        case list() | str() if key.isdecimal() and (key == "0" or key[0] != "0"):
            if isinstance(value, str) and js.length(value) != len(value):
                raise UnknownMeaningError("half a character")
            return value[int(key)] if int(key) < len(value) else UNDEFINED
        case list() | str():
            raise UnknownMeaningError(f"the member {key!r} of a {type(value).__name__}")
    return UNDEFINED


# --- Filters -----------------------------------------------------------------------------------


def _normal(value: Value) -> Value:
    """Make null, false and what is missing an empty text, as most of Nunjucks' filters do."""
    return "" if value is None or value is False or isinstance(value, Undefined) else value


def _of_text(function: Callable[[str], str]) -> Callable[[Value], Value]:
    def apply(value: Value) -> Value:
        normal = _normal(value)
        if not isinstance(normal, str):
            raise TypeError
        return function(normal)

    return apply


def _capitalized(value: str) -> str:
    lower = value.lower()
    if lower[:1] > "\uffff":
        raise TypeError
    return lower[:1].upper() + lower[1:]


def _default(value: Value, instead: Value = UNDEFINED, also_if_false: Value = False) -> Value:
    if js.truthy(also_if_false):
        return value if js.truthy(value) else instead
    return instead if isinstance(value, Undefined) else value


def _element(value: Value, index: int) -> Value:
    if not isinstance(value, list | str):
        raise TypeError
    if isinstance(value, str) and js.length(value) != len(value):
        raise TypeError
    return value[index] if value else UNDEFINED


def _join(value: Value, separator: Value = "") -> Value:
    if not isinstance(value, list):
        raise TypeError
    return (js.text(separator) if js.truthy(separator) else "").join(map(js.text, value))


def _length(value: Value) -> Value:
    normal = _normal(value)
    if isinstance(normal, str):
        return js.length(normal)
    return len(normal) if isinstance(normal, list | dict) else UNDEFINED


def _replace(value: Value, old: Value, new: Value) -> Value:
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise TypeError
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, str) and not is_number:
        return value
    return js.text(value).replace(old, new)


def _round(value: Value, digits: Value = 0) -> Value:
    factor = 10.0 ** js.as_number(digits)
    return js.number(math.floor(js.as_number(value) * factor + 0.5) / factor)


def _sort(value: Value) -> Value:
    if not isinstance(value, list):
        raise TypeError
    texts = all(isinstance(item, str) for item in value)
    numbers = all(type(item) in (int, float) for item in value)
    if not texts and not numbers:
        raise TypeError
    folded = [(js.text(item).lower() if texts else item, item) for item in value]

    def order(left: tuple[Value, Value], right: tuple[Value, Value]) -> int:
        return js.before(right[0], left[0]) - js.before(left[0], right[0])

    return [item for _, item in sorted(folded, key=cmp_to_key(order))]


def _truncate(value: Value, length: Value = 255, inside_words: Value = False) -> Value:
    normal = _normal(value)
    if not isinstance(normal, str) or not isinstance(length, int) or length < 1:
        raise TypeError
    if js.length(normal) != len(normal):
        raise TypeError
    if len(normal) <= length:
        return normal
    space = normal.rfind(" ", 0, length + 1)
    cut = length if js.truthy(inside_words) or space == -1 else space
    return normal[:cut] + "..."


def _dump(value: Value, how: Value = True) -> Value:
    if isinstance(value, Undefined):
        return UNDEFINED
    return js.as_json(value, None if how is True else int(js.as_number(how)))


_FILTERS: dict[str, Callable[..., Value]] = {
    "capitalize": _of_text(_capitalized),
    "default": _default,
    "first": lambda value: _element(value, 0),
    "join": _join,
    "last": lambda value: _element(value, -1),
    "length": _length,
    "lower": _of_text(str.lower),
    "replace": _replace,
    "round": _round,
    "sort": _sort,
    "title": _of_text(lambda value: " ".join(map(_capitalized, value.split(" ")))),
    "tojson": _dump,
    "trim": _of_text(js.trim),
    "truncate": _truncate,
    "upper": _of_text(str.upper),
}
"""Those that templates here know, too; `tojson` is what 'dump' was rewritten as."""
