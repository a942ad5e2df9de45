"""The template language of prompts: a small part of Jinja2 that cannot run away.

A template puts fields into a text. What could do more (calls, arithmetic, assignments, macros,
attributes of Python objects) is not in the lists below, and a template that uses it does not
compile: neither in validation nor in the running service. What is left can only be slow in loops
and filters, and those pay by step. The reference for people is docs/prompts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import Template, TemplateError, nodes

from prompt_hub.repository.syntax_words import jinja_words
from prompt_hub.repository.template_environment import (
    ENVIRONMENT,
    LOOP,
    LOOP_OVER,
    STEPS,
    TESTS,
    WEIGHED,
    RenderingContext,
    Steps,
)
from prompt_hub.repository.template_filters import FILTERS, MAX_RENDERED, RunawayTemplateError

MAX_TEMPLATE = 100_000
"""Characters of a template, building blocks included."""
NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List,
    nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.If,
    nodes.CondExpr, nodes.For, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Neg,
)  # fmt: skip
"""Everything a template may be made of."""

_WORDS: dict[str, str] = {
    "Call": "a call",
    "Concat": "the operator '~'",
    "Mul": "the operator '*'",
    "Pow": "the operator '**'",
    "Add": "the operator '+'",
    "Sub": "the operator '-'",
    "Div": "the operator '/'",
    "FloorDiv": "the operator '//'",
    "Mod": "the operator '%'",
    "Pos": "the operator '+'",
    "Dict": "a mapping",
    "Assign": "{% set %}",
    "AssignBlock": "{% set %}",
    "Include": "an {% include %} that is no building block",
    "Import": "{% import %}",
    "FromImport": "{% from %}",
    "Extends": "{% extends %}",
    "Block": "{% block %}",
    "Macro": "{% macro %}",
    "CallBlock": "{% call %}",
    "FilterBlock": "{% filter %}",
    "With": "{% with %}",
    "Scope": "{% autoescape %}",
}


@dataclass(frozen=True)
class TemplateIssue:
    """Something in a template that is not allowed, or does not parse; `line` is from 1."""

    line: int
    found: str
    expected: str
    rule: str = "template-unsafe"


@dataclass
class TemplateAnalysis:
    """What a template is made of.

    `variables` are the fields that it reads, each with the line of its first use.
    """

    tree: nodes.Template | None = None
    variables: dict[str, int] = field(default_factory=dict)
    faults: list[TemplateIssue] = field(default_factory=list)


@lru_cache(maxsize=512)
def read(content: str) -> TemplateAnalysis:
    """Parse a template and hold it against the lists; never raises."""
    if len(content) > MAX_TEMPLATE:
        found = f"a template of {len(content)} characters"
        return TemplateAnalysis(
            faults=[TemplateIssue(1, found, f"at most {MAX_TEMPLATE}", "template-syntax")]
        )
    try:
        tree = ENVIRONMENT.parse(content)
    except TemplateError as error:
        line = getattr(error, "lineno", None) or 1
        return TemplateAnalysis(
            faults=[TemplateIssue(line, *jinja_words(f"{error}"), "template-syntax")]
        )
    except (RecursionError, ValueError) as error:
        found = f"a template that cannot be read ({error})"
        return TemplateAnalysis(
            faults=[TemplateIssue(1, found, "a Jinja2 template", "template-syntax")]
        )
    reading = TemplateAnalysis(tree)
    try:
        _Check(reading).visit(tree, frozenset())
    except RecursionError:
        reading.faults.append(
            TemplateIssue(1, "expressions nested without end", "a simpler template")
        )
    return reading


class _Check:
    """Walks a template, noting the fields that it reads and all that is not allowed."""

    def __init__(self, reading: TemplateAnalysis) -> None:
        self._reading = reading

    def visit(self, node: nodes.Node, bound: frozenset[str]) -> None:
        """Look at a node; `bound` are the names that loops around it have bound."""
        if not isinstance(node, NODES):
            what = _WORDS.get(type(node).__name__, f"{type(node).__name__}")
            self._fault(node, what, "only what docs/prompts.md lists for templates")
            return
        match node:
            case nodes.Name(name="self" | "super"):
                self._fault(node, f"the name {node.name!r}, which Jinja keeps to itself", "another")
            case nodes.Name(ctx="load") if node.name not in bound:
                self._reading.variables.setdefault(node.name, node.lineno)
            case nodes.Getattr():
                self._attribute(node, bound)
            case nodes.Filter():
                self._filter(node)
            case nodes.Test():
                self._test(node)
            case nodes.For():
                self._loop(node, bound)
                return
            case nodes.Slice():
                for part in (node.start, node.stop, node.step):
                    self._constant(part, (int,), "the bounds of a slice")
        for child in node.iter_child_nodes():
            self.visit(child, bound)

    def _fault(self, node: nodes.Node, found: str, expected: str) -> None:
        self._reading.faults.append(TemplateIssue(node.lineno, found, expected))

    def _attribute(self, node: nodes.Getattr, bound: frozenset[str]) -> None:
        if node.attr.startswith("_"):
            self._fault(node, f"the attribute {node.attr!r}", "the name of a field")
        of_loop = isinstance(node.node, nodes.Name) and node.node.name == "loop"
        if of_loop and "loop" in bound and node.attr not in LOOP:
            self._fault(node, f"'loop.{node.attr}'", f"one of loop's {', '.join(LOOP)}")

    def _filter(self, node: nodes.Filter) -> None:
        known = FILTERS.get(node.name)
        if node.node is None or known is None:
            self._fault(node, f"the filter {node.name!r}", f"one of: {', '.join(sorted(FILTERS))}")
            return
        wanted = known.arguments
        given = [*node.args, *node.kwargs]
        if len(given) > len(wanted) or node.kwargs or node.dyn_args or node.dyn_kwargs:
            found = f"{len(given)} arguments of the filter {node.name!r}"
            self._fault(node, found, f"at most {len(wanted)}, without names")
            return
        for argument, types in zip(node.args, wanted, strict=False):
            self._constant(argument, types, f"the arguments of {node.name!r}")
        if node.name == "replace" and not _shrinks(node.args):
            expected = "a replacement no longer than what it replaces"
            self._fault(node, "a replacement that makes a text grow", expected)

    def _test(self, node: nodes.Test) -> None:
        if node.name not in TESTS or node.args or node.kwargs:
            self._fault(node, f"the test {node.name!r}", f"one of: {', '.join(TESTS)}")

    def _loop(self, node: nodes.For, bound: frozenset[str]) -> None:
        if node.recursive:
            self._fault(node, "a recursive loop", "a plain one")
        self.visit(node.iter, bound)
        targets = {name.name for name in node.target.find_all(nodes.Name)}
        if isinstance(node.target, nodes.Name):
            targets.add(node.target.name)
        inside = bound | targets | {"loop"}
        for child in (*([node.test] if node.test else []), *node.body):
            self.visit(child, inside)
        for child in node.else_:
            self.visit(child, bound)

    def _constant(self, node: nodes.Expr | None, types: tuple[type, ...], what: str) -> None:
        if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
            node = node.node
        if node is None or (isinstance(node, nodes.Const) and type(node.value) in types):
            return
        expected = " or ".join(_TYPES[type_] for type_ in types)
        self._fault(node, f"{what} given otherwise", f"{expected}, written out")


_TYPES: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
    type(None): "none",
}


def _shrinks(arguments: list[nodes.Expr]) -> bool:
    """Whether `replace` with these arguments never makes a text longer."""
    match arguments:
        case [nodes.Const(value=str(old)), nodes.Const(value=str(new))]:
            return 0 < len(old) >= len(new)
    return False


def turn_steps(loop: nodes.For) -> int:
    """Return what one turn of a loop costs: its nodes, those of inner loops counted once."""
    return 1 + sum(map(_size_of, (*([loop.test] if loop.test else []), *loop.body)))


def _size_of(node: nodes.Node) -> int:
    return 1 + sum(map(_size_of, node.iter_child_nodes()))


# --- Running -----------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _compiled(content: str) -> Template | TemplateIssue:
    reading = read(content)
    if reading.faults or reading.tree is None:
        return reading.faults[0]
    # Compiling folds constants into the tree, and the tree in the cache stays as it was written.
    tree = ENVIRONMENT.parse(content)
    for node in list(tree.find_all((nodes.For, nodes.Compare, nodes.Operand, nodes.Getitem))):
        match node:
            case nodes.For(iter=nodes.Expr() as over):
                node.iter = _inside(over, LOOP_OVER, nodes.Const(turn_steps(node)))
            case nodes.Compare(expr=compared) | nodes.Operand(expr=compared):
                node.expr = _inside(compared, WEIGHED)
            case nodes.Getitem(node=nodes.Expr() as cut, arg=nodes.Slice()):
                node.node = _inside(cut, WEIGHED)
    tree.set_environment(ENVIRONMENT)
    return Template.from_code(ENVIRONMENT, ENVIRONMENT.compile(tree), {})


_FEW_PIECES = 100
"""So many of the longest values may be held before their lengths are asked of."""


def _is_plain(tree: nodes.Template) -> bool:
    """Whether a template writes few pieces, each once at most: all may be there at once."""
    if any(tree.find_all((nodes.For, nodes.Filter, nodes.Compare, nodes.Getitem))):
        return False
    return sum(len(output.nodes) for output in tree.find_all(nodes.Output)) <= _FEW_PIECES


def _is_text(tree: nodes.Template) -> bool:
    """Whether nothing in a template is anything but text."""
    text = nodes.Output | nodes.TemplateData
    return all(isinstance(node, text) for node in tree.find_all(nodes.Node))


def _too_long() -> RunawayTemplateError:
    return RunawayTemplateError(f"it writes more than {MAX_RENDERED} characters")


def _inside(node: nodes.Expr, filter_name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, filter_name, list(arguments), [], None, None, lineno=node.lineno)


def compile_text(content: str) -> Callable[[Mapping[str, object]], str]:
    """Return what makes texts of fields by a template.

    Raises:
        ValueError: the template is not allowed to do what it does.
    """
    reading = read(content)
    if reading.tree and not reading.faults and _is_text(reading.tree):
        text = "".join(piece.data for piece in reading.tree.find_all(nodes.TemplateData))
        return lambda _: text
    template = _compiled(content)
    if isinstance(template, TemplateIssue):
        raise ValueError(f"line {template.line}: {template.found}; expected {template.expected}")
    write = template.root_render_func
    if reading.variables and reading.tree and _is_plain(reading.tree):

        def plain_text_of(fields: Mapping[str, object]) -> str:
            pieces: list[str] = []
            try:
                pieces.extend(write(RenderingContext(fields)))
            except Exception:
                # What was too long before anything else went wrong comes first.
                if sum(map(len, pieces)) > MAX_RENDERED:
                    raise _too_long() from None
                raise
            if sum(map(len, pieces)) > MAX_RENDERED:
                raise _too_long()
            return "".join(pieces)

        return plain_text_of

    def text_of(fields: Mapping[str, object]) -> str:
        pieces = []
        size = 0
        for piece in write(RenderingContext({**fields, STEPS: Steps()})):
            size += len(piece)
            if size > MAX_RENDERED:
                raise _too_long()
            pieces.append(piece)
        return "".join(pieces)

    if reading.variables:
        return text_of
    known: list[str] = []

    def always_the_same(fields: Mapping[str, object]) -> str:
        if not known:
            known.append(text_of({}))
        return known[0]

    return always_the_same


def render_text(content: str, fields: Mapping[str, object]) -> str:
    """Return the text that a template makes of fields.

    Raises:
        ValueError: the template is not allowed to do what it does.
        Exception: whatever else goes wrong in it: a template is a program of its author's.
    """
    return compile_text(content)(fields)
