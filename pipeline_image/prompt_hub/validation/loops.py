"""How long the loops of a template can get, and which fields it names, by the input's schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from jinja2 import nodes
from pydantic import JsonValue

from prompt_hub.repository.contracts import is_closed, properties, resolve
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.template_environment import MAX_STEPS
from prompt_hub.repository.templates import turn_steps

Scope = Mapping[str, JsonObject | None]
_UNKNOWN: JsonObject = {}
_HOPS = 20


@dataclass(frozen=True)
class PathFault:
    """A field that the schema does not have, or a loop that it does not bound.

    `word` is what to look for on `line`, `choices` what may have been meant.
    """

    rule: Literal["undeclared-variable", "unbounded-loop"]
    line: int
    word: str
    found: str
    expected: str
    choices: tuple[str, ...] = ()


def path_faults(tree: nodes.Template, schema: JsonObject) -> Iterator[PathFault]:
    """Everything in a readable template that `schema` does not have or does not bound."""
    walk = _Walk(schema)
    yield from walk.visit(tree, {}, 1)
    if walk.steps > MAX_STEPS:
        first = next(iter(tree.find_all(nodes.For)))
        found = f"loops that may take {walk.steps} steps"
        expected = f"at most {MAX_STEPS}: a smaller maxItems, or fewer loops inside loops"
        yield PathFault("unbounded-loop", first.lineno, "for", found, expected)


class _Walk:
    def __init__(self, schema: JsonObject) -> None:
        self._root = schema
        self.steps = 0

    def visit(self, node: nodes.Node, scope: Scope, times: int) -> Iterator[PathFault]:
        """Look at `node`, which is run `times` times, where `scope` is what loops have bound."""
        match node:
            case nodes.For():
                yield from self._loop(node, scope, times)
                return
            case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str(name))):
                yield from self._field(node, name, scope)
        for child in node.iter_child_nodes():
            yield from self.visit(child, scope, times)

    def _loop(self, node: nodes.For, scope: Scope, times: int) -> Iterator[PathFault]:
        yield from self.visit(node.iter, scope, times)
        length = self._length(node.iter, scope)
        if length is None:
            what = _spelt(node.iter)
            found = f"a loop over {what}, whose length nothing bounds"
            expected = "an array with maxItems in the input, or a slice of it"
            yield PathFault("unbounded-loop", node.lineno, "for", found, expected)
            length = 0
        self.steps += times * length * turn_steps(node)
        inside = {**scope, "loop": None, **self._bound(node, scope)}
        for child in (*([node.test] if node.test else []), *node.body):
            yield from self.visit(child, inside, times * length)
        for child in node.else_:
            yield from self.visit(child, scope, times)

    def _bound(self, node: nodes.For, scope: Scope) -> Scope:
        """Return what the loop's names stand for."""
        if isinstance(node.target, nodes.Name):
            shape = self._shape(node.iter, scope)
            return {node.target.name: self._element(shape) if shape is not None else None}
        return {name.name: None for name in node.target.find_all(nodes.Name)}

    def _field(
        self, node: nodes.Getattr | nodes.Getitem, name: str, scope: Scope
    ) -> Iterator[PathFault]:
        shape = self._shape(node.node, scope)
        if shape is None:
            return
        declared = properties(shape)
        kind = shape.get("type")
        if kind == "object" and is_closed(shape) and name not in declared:
            found = f"the field {name!r} of {_spelt(node.node)}"
            expected = f"one of: {', '.join(declared)}" if declared else "no field: it has none"
            choices = tuple(declared)
            yield PathFault("undeclared-variable", node.lineno, name, found, expected, choices)
        elif isinstance(kind, str) and kind != "object":
            found = f"the field {name!r} of {_spelt(node.node)}, which is of type {kind!r}"
            yield PathFault("undeclared-variable", node.lineno, name, found, "a field of an object")

    def _shape(self, node: nodes.Node, scope: Scope) -> JsonObject | None:
        """Return the schema of an expression's value; None where nothing is known."""
        match node:
            case nodes.Name(name=name):
                inner = scope[name] if name in scope else properties(self._root).get(name)
            case (
                nodes.Getattr(node=of, attr=name)
                | nodes.Getitem(node=of, arg=nodes.Const(value=str(name)))
            ):
                inner = properties(self._shape(of, scope) or _UNKNOWN).get(name)
            case nodes.Getitem(node=of, arg=nodes.Const(value=int())):
                inner = self._element(self._shape(of, scope) or _UNKNOWN)
            case nodes.Filter(node=nodes.Node() as of, name="first" | "last"):
                inner = self._element(self._shape(of, scope) or _UNKNOWN)
            case nodes.Filter(node=nodes.Node() as of, name="default" | "sort" | "unique"):
                inner = self._shape(of, scope)
            case _:
                inner = None
        return self._resolved(inner)

    def _element(self, shape: JsonObject) -> JsonObject | None:
        items = shape.get("items")
        return self._resolved(items) if shape.get("type") == "array" else None

    def _resolved(self, schema: JsonValue) -> JsonObject | None:
        """Follow a schema's references into the root, and leave null out of its choices."""
        for _ in range(_HOPS):
            if not isinstance(schema, dict):
                return None
            choices = schema.get("anyOf") or schema.get("oneOf")
            if isinstance(choices, list):
                rest = [
                    choice
                    for choice in choices
                    if not isinstance(choice, dict) or choice.get("type") != "null"
                ]
                schema = rest[0] if len(rest) == 1 else None
            elif "$ref" in schema:
                schema = resolve(schema, self._root)
            elif isinstance(types := schema.get("type"), list):
                named = [type_ for type_ in types if type_ != "null"]
                return {**schema, "type": named[0]} if len(named) == 1 else {**schema, "type": None}
            else:
                return schema
        return None

    def _length(self, node: nodes.Node, scope: Scope) -> int | None:
        """Return the most elements that an expression's value can have.

        None if nothing bounds them.
        """
        match node:
            case nodes.List(items=items) | nodes.Tuple(items=items):
                return len(items)
            case nodes.Filter(node=nodes.Node() as of, name="items"):
                return self._entries(self._shape(of, scope))
            case nodes.Filter(node=nodes.Node() as of, name="default" | "sort" | "unique"):
                return self._length(of, scope)
            case nodes.Getitem(
                node=of, arg=nodes.Slice(start=None, stop=nodes.Const(value=int(n)))
            ):
                whole = self._length(of, scope)
                return n if whole is None else min(n, whole)
            case nodes.Getitem(node=of, arg=nodes.Slice()):
                return self._length(of, scope)
        shape = self._shape(node, scope)
        if shape is None or shape.get("type") != "array":
            return None
        return _whole(shape.get("maxItems"))

    @staticmethod
    def _entries(shape: JsonObject | None) -> int | None:
        if shape is None:
            return None
        if is_closed(shape):
            return len(properties(shape))
        return _whole(shape.get("maxProperties"))


def _whole(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _spelt(node: nodes.Node) -> str:
    """Return an expression as the template's author wrote it, more or less."""
    match node:
        case nodes.Name(name=name):
            return repr(name)
        case (
            nodes.Getattr(node=of, attr=name)
            | nodes.Getitem(node=of, arg=nodes.Const(value=str(name)))
        ):
            before = _spelt(of)
            return f"{before[:-1]}.{name}'" if before.endswith("'") else repr(name)
        case nodes.Filter(node=nodes.Node() as of):
            return _spelt(of)
        case nodes.Getitem(node=of):
            return _spelt(of)
    return "a value"
