"""Templates of others as ours, where both mean the same: names in braces, and Jinja2.

What would mean something else here is refused with its line: a prompt that says other words than it
did there is worse than none. Mustache and Handlebars are in `braces.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jinja2 import nodes
from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import broken
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.core.foreign_text import shortened
from prompt_hub.core.hidden_characters import find_hidden, in_words
from prompt_hub.repository.contracts import properties
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.templates import MAX_TEMPLATE, TemplateAnalysis, read

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = {
    *("and", "else", "false", "if", "in", "is", "none", "not", "or", "true", "loop", "self"),
    *("super", "False", "None", "True"),
}
"""Names that mean something else to Jinja2."""
_LONGEST = 100
"""Elements of a list that is looped over, where nothing says how many there may be."""
_MARK = re.compile(r"\{(?=[{%#]|\Z)")


@dataclass(frozen=True)
class Converted:
    """A template of ours, and the fields that it reads, each with the schema that is known."""

    text: str
    variables: Mapping[str, JsonObject]


def literal(text: str) -> str:
    """Escape a text, so that as a template it says just that."""
    return _MARK.sub("{{ '{' }}", text)


def variable(name: str, place: Place) -> str:
    """Return a name that may be a field here; raises `InvalidDocumentsError` for any other."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        expected = "a field's name of letters, digits and '_', such as {{name}}: rename it there"
        raise broken(*place, f"{{{{{shortened(name, 40)}}}}}", expected)
    return name


def as_template(text: str, place: Place, notes: Notes) -> str:
    """Return a template as it may stand in a file; raises `InvalidDocumentsError`."""
    if len(text) > MAX_TEMPLATE:
        raise broken(*place, f"a text of {len(text)} characters", f"at most {MAX_TEMPLATE}")
    if (hidden := next(find_hidden(text), None)) is not None:
        raise broken(*place, in_words(hidden[1]), "a prompt without what nobody sees")
    if "\r" in text:
        notes.changed(place, "the template", "line ends are '\\n' here")
    return text.replace("\r\n", "\n")


def from_names(text: str, place: Place, notes: Notes, *, inside: str = "") -> Converted:
    """Convert a template that knows nothing but names in double braces.

    Args:
        text: the template.
        place: where it stands.
        notes: told what is written otherwise here.
        inside: what every name begins with, such as `item.`, and does not here.

    Raises:
        InvalidDocumentsError: braces hold something else than a name.
    """
    text = as_template(text, place, notes)
    names: dict[str, JsonObject] = {}
    pieces = []
    before = 0
    for start, end in _named(text):
        name = text[start + 2 : end - 2].strip()
        if not name.startswith(inside):
            raise broken(*place, f"{{{{{name[:40]}}}}}", f"a name such as {{{{{inside}name}}}}")
        name = variable(name.removeprefix(inside), place)
        names[name] = {}
        pieces += [literal(text[before:start]), f"{{{{ {name} }}}}"]
        before = end
    pieces.append(literal(text[before:]))
    return Converted(closed("".join(pieces)), names)


def _named(text: str) -> Iterator[tuple[int, int]]:
    """Yield where double braces begin and end; those that do not end are text."""
    end = 0
    while (start := text.find("{{", end)) >= 0 and (end := text.find("}}", start) + 2) >= 2:
        yield start, end


def bound(path: str, schema: JsonObject, place: Place, notes: Notes) -> None:
    """Give the schema of a list that a template loops over a bound, wherever it stands.

    Raises:
        InvalidDocumentsError: it is no list.
    """
    if kind_of(schema) != "array":
        expected = "a field that is declared as an array and as nothing else in the input's schema"
        raise broken(*place, f"a loop over {path!r}", expected)
    if "maxItems" not in schema:
        why = f"holds {_LONGEST} elements at most: a loop needs a bound, set yours"
        notes.changed(place, f"the list {path!r}", why)
        schema["maxItems"] = _LONGEST


def closed(text: str) -> str:
    """Return a template that keeps its last line end, of which Jinja2 drops one."""
    return text + "\n" * text.endswith("\n")


def hidden_reason(*values: JsonValue) -> str:
    """Why values may not stand in an example, empty where they may."""
    hidden = next(find_hidden(json.dumps(values, ensure_ascii=False)), None)
    if hidden is None:
        return ""
    return f"it holds {in_words(hidden[1])}, which nobody sees and examples may not have"


# --- Jinja2 ------------------------------------------------------------------------------------

_FILTERS = (
    *("capitalize", "default", "join", "length", "lower", "replace", "title", "trim", "upper"),
)
"""Filters that are the same in both; `tojson`, `sort`, `round` and others only share a name."""
_NOT_ALIKE = ("boolean", "array", "object")
_CONDITIONS = (nodes.Compare, nodes.Not, nodes.Test)


def from_jinja(text: str, place: Place, types: Mapping[str, JsonObject], notes: Notes) -> Converted:
    """Convert a template of Jinja2: it stays as it is, where every value is written alike.

    Raises:
        InvalidDocumentsError: it uses what ours have not, or what is written otherwise here.
    """
    text = as_template(text, place, notes)
    analysis = read(text)
    for fault in analysis.faults:
        raise broken(place[0], place[1] + fault.line - 1, fault.found, fault.expected)
    variables = {name: types.get(name, {}) for name in analysis.variables}
    try:
        issue = next(_differences(analysis, place, types), None)
        if issue is not None:
            raise issue
        _bound_loops(analysis, place, variables, notes)
    except RecursionError:
        raise broken(*place, "expressions nested without end", "a simpler template") from None
    return Converted(text, variables)


def _bound_loops(
    analysis: TemplateAnalysis, place: Place, variables: Mapping[str, JsonObject], notes: Notes
) -> None:
    """Give every list that is looped over a bound; a field of which nothing is known is one."""
    assert analysis.tree is not None
    for loop, known in _scoped(analysis.tree, variables):
        if isinstance(loop, nodes.For) and (path := _path(loop.iter)):
            schema = _schema_of(loop.iter, known)
            if not schema and schema is variables.get(path):
                schema["type"] = "array"
            bound(path, schema, (place[0], place[1] + loop.lineno - 1), notes)


def _path(node: nodes.Node) -> str:
    """Return a field by its path, as it may be written; empty for any other expression."""
    match node:
        case nodes.Name(name=name):
            return str(name)
        case (
            nodes.Getattr(node=of, attr=name)
            | nodes.Getitem(node=of, arg=nodes.Const(value=str() as name))
        ):
            before = _path(of)
            return f"{before}.{name}" if before else ""
    return ""


def _differences(
    analysis: TemplateAnalysis, place: Place, types: Mapping[str, JsonObject]
) -> Iterator[InvalidDocumentsError]:
    """Yield what would be written otherwise here than Jinja2 writes it with its own settings."""
    assert analysis.tree is not None

    def issue(node: nodes.Node, found: str, expected: str) -> InvalidDocumentsError:
        return broken(place[0], place[1] + node.lineno - 1, found, expected)

    for used in analysis.tree.find_all(nodes.Filter):
        if used.name not in _FILTERS:
            found = f"the filter {used.name!r}, which does something else here"
            yield issue(used, found, f"one of: {', '.join(_FILTERS)}; or do it before the prompt")
    for written, known in _written(analysis.tree, types):
        if kind := _written_otherwise(written, known):
            expected = "text and numbers; for others {% if %} with the words to be said"
            found = f"{kind} written out, which Python and JSON write differently"
            yield issue(written, found, expected)


def _written(
    node: nodes.Node, known: Mapping[str, JsonObject]
) -> Iterator[tuple[nodes.Node, Mapping[str, JsonObject]]]:
    """Yield all that is written out, and the schemas of the names that are known there."""
    for part, there in _scoped(node, known):
        if isinstance(part, nodes.Output):
            yield from ((outcome, there) for each in part.nodes for outcome in _outcomes(each))


def _scoped(
    node: nodes.Node, known: Mapping[str, JsonObject]
) -> Iterator[tuple[nodes.Node, Mapping[str, JsonObject]]]:
    """Yield all down to what is written out, and the schemas of the names that are known there."""
    yield node, known
    if isinstance(node, nodes.Output):
        return
    for child in node.iter_child_nodes(exclude=("body",)):
        yield from _scoped(child, known)
    if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
        known = {**known, node.target.name: _element_of(node.iter, known)}
    for child in node.iter_child_nodes(only=("body",)):
        yield from _scoped(child, known)


def _outcomes(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield what an expression may come to: either side of a choice, a value or its default.

    'trim' and 'replace' make a text of a value as it is written, and so stand for the value.
    """
    parts: tuple[nodes.Node | None, ...]
    match node:
        case nodes.And() | nodes.Or():
            parts = node.left, node.right
        case nodes.CondExpr():
            parts = node.expr1, node.expr2
        case nodes.Filter(name="default"):
            parts = node.node, *node.args[:1]
        case nodes.Filter(name="trim" | "replace"):
            parts = (node.node,)
        case _:
            yield node
            return
    for part in parts:
        if part is not None:
            yield from _outcomes(part)


def _written_otherwise(node: nodes.Node, types: Mapping[str, JsonObject]) -> str:
    """Return what a value is that Jinja2 writes as Python does and we do not; empty for others."""
    schema = _schema_of(node, types)
    if isinstance(node, nodes.Filter) and node.name == "join" and node.node is not None:
        schema = _element_of(node.node, types)
    kind = kind_of(schema)
    if kind not in _NOT_ALIKE:
        return ""
    if isinstance(node, nodes.Const):
        return "a constant"
    if isinstance(node, nodes.Name):
        return f"{kind} {node.name!r}"
    if _is_condition(node):
        return "a condition"
    name = next((found.name for found in node.find_all(nodes.Name)), "")
    return f"{kind} in {name!r}" if name else kind


def _is_condition(node: nodes.Node) -> bool:
    match node:
        case nodes.Getattr(node=nodes.Name(name="loop"), attr="first" | "last"):
            return True
        case _:
            return isinstance(node, _CONDITIONS)


def _schema_of(node: nodes.Node, types: Mapping[str, JsonObject]) -> JsonObject:
    """Return the schema of an expression; an empty one where nothing is known of it.

    Of several outcomes or elements it is that of the first that Python and JSON write differently.
    """
    inner: JsonValue = None
    outcomes = [*_outcomes(node)]
    match node:
        case _ if outcomes != [node]:
            inner = _unlike(_schema_of(outcome, types) for outcome in outcomes)
        case nodes.Name(name=name):
            inner = types.get(name)
        case nodes.Const(value=bool() | None):
            inner = {"type": "boolean"}
        case _ if _is_condition(node):
            inner = {"type": "boolean"}
        case nodes.List(items=items) | nodes.Tuple(items=items):
            inner = {"type": "array", "items": _unlike(_schema_of(item, types) for item in items)}
        case nodes.Getattr(node=of, attr=name):
            inner = properties(_schema_of(of, types)).get(name)
        case nodes.Getitem(node=of, arg=nodes.Const(value=str() as name)):
            inner = properties(_schema_of(of, types)).get(name)
        case nodes.Getitem(node=of, arg=nodes.Slice()):
            inner = _schema_of(of, types)
        case nodes.Getitem(node=of):
            inner = _element_of(of, types)
    return inner if isinstance(inner, dict) else {}


def _element_of(node: nodes.Node, types: Mapping[str, JsonObject]) -> JsonObject:
    """Return the schema of what stands in a list, whichever an expression comes to."""
    found = (_schema_of(outcome, types).get("items") for outcome in _outcomes(node))
    return _unlike(items for items in found if isinstance(items, dict))


def _unlike(schemas: Iterable[JsonObject]) -> JsonObject:
    return next((schema for schema in schemas if kind_of(schema) in _NOT_ALIKE), {})


def kind_of(schema: JsonObject) -> str:
    """Return the JSON type that a schema names, empty where it names none or several."""
    found = schema.get("type")
    return found if isinstance(found, str) else ""
