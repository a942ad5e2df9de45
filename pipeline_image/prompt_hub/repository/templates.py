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

from jinja2 import StrictUndefined, Template, TemplateError, nodes, tests
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from prompt_hub.repository.template_filters import (
    FILTERS,
    MAX_RENDERED,
    RunawayTemplateError,
    plain_text,
)

MAX_TEMPLATE = 100_000
"""Characters of a template, building blocks included."""
MAX_STEPS = 200_000
"""Steps of one rendering: loops take items × nodes of the body, filters one a 100 characters."""

NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List,
    nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.If,
    nodes.CondExpr, nodes.For, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Neg,
)  # fmt: skip
"""Everything a template may be made of."""
TESTS = ("boolean", "defined", "mapping", "none", "number", "sequence", "string", "undefined")
"""What may stand behind `is`; none of them takes an argument."""
LOOP = ("first", "index", "index0", "last", "length")
"""What may be read of `loop`."""

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
        tree = _ENVIRONMENT.parse(content)
    except TemplateError as error:
        line = getattr(error, "lineno", None) or 1
        return TemplateAnalysis(
            faults=[TemplateIssue(line, f"{error}", "a Jinja2 template", "template-syntax")]
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


class _Steps:
    """What is left of a rendering's steps."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def take(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise RunawayTemplateError(f"it takes more than {MAX_STEPS} steps")


_STEPS = "steps left"
"""Under this name, which no template can spell, a rendering's steps lie among its fields."""
_LOOP_OVER = "loop over"
"""A filter, which no template can spell, around everything that is looped over."""
_WEIGHED = "weigh it"
"""Another, around everything that is compared or cut, which takes as long as the value is."""


def _paid(function: Callable[..., object]) -> Callable[..., object]:
    @pass_context
    def paying(context: Context, value: object, *arguments: object) -> object:
        steps: _Steps = context[_STEPS]
        steps.take(1 + _cost(value))
        return function(value, *arguments)

    return paying


def _cost(value: object) -> int:
    """Return steps of going over a value once: one per element, one per 100 characters."""
    if isinstance(value, str):
        return len(value) // 100
    if isinstance(value, list | tuple):
        return len(value) + sum(map(_cost, value))
    if isinstance(value, Mapping):
        return len(value) + sum(map(_cost, value.values()))
    return 0


@pass_context
def _loop_over(context: Context, value: object, turn: int) -> object:
    if isinstance(value, Undefined):
        return value  # iterating it says which field is missing
    if not isinstance(value, list | tuple):
        raise TypeError("a loop goes over a list ('items' makes one of an object)")
    steps: _Steps = context[_STEPS]
    steps.take(len(value) * turn)
    return value


class _Context(Context):
    """What a template sees of one rendering; made for each, so it holds no more than it must.

    Blocks, exports and scopes with settings of their own are for tags that no template may have.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.parent = fields  # type: ignore[assignment]  # It is looked up in, and nothing else.
        self.vars = _NOTHING
        self.environment = _ENVIRONMENT
        self.eval_ctx = _EVALUATION
        self.name = None


_NOTHING: dict[str, object] = {}
"""What a template has assigned: nothing, for it cannot."""


class _Environment(ImmutableSandboxedEnvironment):
    """Knows data only: `a.b` is the field b of a, never an attribute of a Python object."""

    def getattr(self, obj: object, attribute: str) -> object:
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in LOOP else self.undefined(name=attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        if isinstance(obj, Undefined):
            return obj  # which says by its own name that it is missing
        fits = isinstance(argument, str) if isinstance(obj, Mapping) else isinstance(argument, int)
        if fits and isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]  # type: ignore[call-overload, index]
            except LookupError:
                pass
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: object) -> bool:
        return False


def _environment() -> _Environment:
    # Autoescaping is for HTML; a prompt is plain text and must arrive as it was written.
    environment = _Environment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, finalize=_finalize
    )
    environment.globals.clear()
    environment.filters = {name: _paid(item.function) for name, item in FILTERS.items()}
    environment.filters[_LOOP_OVER] = _loop_over
    environment.filters[_WEIGHED] = _paid(lambda value: value)
    environment.tests = {name: tests.TESTS[name] for name in TESTS}
    return environment


def _finalize(value: object) -> object:
    return value if isinstance(value, str | Undefined) else plain_text(value)


_ENVIRONMENT = _environment()
_EVALUATION = EvalContext(_ENVIRONMENT)


@lru_cache(maxsize=512)
def _compiled(content: str) -> Template | TemplateIssue:
    reading = read(content)
    if reading.faults or reading.tree is None:
        return reading.faults[0]
    # Compiling folds constants into the tree, and the tree in the cache stays as it was written.
    tree = _ENVIRONMENT.parse(content)
    for node in list(tree.find_all((nodes.For, nodes.Compare, nodes.Operand, nodes.Getitem))):
        match node:
            case nodes.For(iter=nodes.Expr() as over):
                node.iter = _inside(over, _LOOP_OVER, nodes.Const(turn_steps(node)))
            case nodes.Compare(expr=compared) | nodes.Operand(expr=compared):
                node.expr = _inside(compared, _WEIGHED)
            case nodes.Getitem(node=nodes.Expr() as cut, arg=nodes.Slice()):
                node.node = _inside(cut, _WEIGHED)
    tree.set_environment(_ENVIRONMENT)
    return Template.from_code(_ENVIRONMENT, _ENVIRONMENT.compile(tree), {})


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
            pieces = [*write(_Context(fields))]
            if sum(map(len, pieces)) > MAX_RENDERED:
                raise _too_long()
            return "".join(pieces)

        return plain_text_of

    def text_of(fields: Mapping[str, object]) -> str:
        pieces = []
        size = 0
        for piece in write(_Context({**fields, _STEPS: _Steps()})):
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
