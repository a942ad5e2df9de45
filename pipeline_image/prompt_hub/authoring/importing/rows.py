"""Rows of data as examples: their fields fill the prompt, and graders say which answer is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.documents import Node, json_or_text
from prompt_hub.authoring.importing.form import (
    ANSWER,
    Draft,
    Fields,
    listed,
    plain_contract,
    unique_name,
)
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.schemas import contract_of, object_schema, type_of
from prompt_hub.authoring.importing.templates import hidden_reason
from prompt_hub.llm.schema_support import types_of
from prompt_hub.repository.contracts import properties, resolve, schema_problem
from prompt_hub.repository.placeholders import PLACEHOLDER
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring.scorers.exact import ExactSettings
from prompt_hub.scoring.scorers.json_fields import FieldRule, FieldsSettings
from prompt_hub.scoring.scorers.text import TextSettings

_SCALARS = {"boolean", "integer", "number", "string"}


@dataclass(frozen=True)
class Reference:
    """What a grader compares an answer with: a field of the row, or the same text for all."""

    field: str | None
    """The field of the answer that is compared; None for all of its text."""
    item: str | None
    """The field of the row that holds the right one; None for a constant."""
    constant: str
    fold: bool
    """Whether upper and lower case are the same."""


@dataclass(frozen=True)
class Row:
    """One row: its fields, and the answer that it says itself is right, if it does."""

    values: Mapping[str, JsonValue]
    place: Place
    expected: JsonValue = None
    name: str = ""


@dataclass(frozen=True)
class Labelled:
    """Examples, the contracts that they keep, and how answers are held against them."""

    examples: tuple[Example, ...]
    input: JsonObject
    output: JsonObject
    scorer: JsonObject
    plain: bool


def rows_of(node: Node, notes: Notes) -> list[Row]:
    """Return the rows of a file: OpenAI's (`item`), or ours (`input` and `expected`)."""
    return [row for element in listed(node, notes) if (row := _row(element, notes)) is not None]


def _row(element: Node, notes: Notes) -> Row | None:
    entry = Fields(element, notes)
    for key in ("item", "datasource_item"):
        if (item := entry.inner(key)) is not None and isinstance(item.node.data, dict):
            why = "it tells what a model answered, not which answer is right"
            entry.rest("a row", {}, why)
            return Row(item.node.data, element.place)
    given, expected = entry.inner("input"), entry.take("expected")
    if given is None or not isinstance(given.node.data, dict):
        why = "it has neither 'item' (OpenAI) nor 'input' and 'expected' as objects"
        notes.lost(element.place, "a row", why)
        return None
    name = entry.text("id")
    entry.rest("a row", {}, "examples are an input and the right answer")
    return Row(given.node.data, element.place, expected.data if expected else None, name)


# --- Right answers -----------------------------------------------------------------------------


def labelled(
    draft: Draft, rows: Sequence[Row], references: Sequence[Reference], notes: Notes
) -> Labelled:
    """Return the rows that have a right answer as examples; the others are noted as lost."""
    _note_unread(draft, rows, references, notes)
    answers = [_parsed(_answer(row, references, notes)) for row in rows]
    objects = [answer for answer in answers if isinstance(answer, dict)]
    # A grader that compares a field says nothing about the others.
    graded = any(reference.field is not None for reference in references)
    output = draft.output or (
        contract_of(objects, draft.place, notes, partly=graded) if objects else plain_contract()
    )
    plain = draft.output is None and not objects
    names = [*properties(output)]
    only = names[0] if len(names) == 1 else None
    inputs = _inputs(draft, rows, notes)
    examples: list[Example] = []
    taken: set[str] = set()
    for number, (row, answer, fields) in enumerate(zip(rows, answers, inputs, strict=True), 1):
        expected = _expected(answer, only)
        if answer is None or fields is None:
            continue
        problem = _problem(fields, expected, output)
        if problem or not isinstance(expected, dict):
            notes.lost(row.place, "a row", problem or "its right answer is a text, not an object")
            continue
        name = unique_name(row.name or f"row-{number}", number, taken)
        examples.append(Example(id=name[:120], input=fields, expected=expected))
    return Labelled(
        tuple(examples),
        _input_contract(draft, [example.input for example in examples]),
        output,
        _scorer(output, references),
        plain,
    )


def _answer(row: Row, references: Sequence[Reference], notes: Notes) -> JsonValue:
    """Return what a row says the right answer is; None, which is noted, where it says nothing."""
    if row.expected is not None:
        return row.expected
    found: JsonObject = {}
    for reference in references:
        value = reference.constant if reference.item is None else row.values.get(reference.item)
        if value is None:
            what = f"it has no {reference.item!r}, with which a grader compares answers"
            notes.lost(row.place, "a row", what)
            return None
        if reference.field is None:
            return value
        found[reference.field] = value
    if not found:
        why = "nothing says what its right answer is; label it as an example yourself"
        notes.lost(row.place, "a row", why)
    return found or None


def _parsed(answer: JsonValue) -> JsonValue:
    """Return the object that a text is in JSON; anything else as it is."""
    is_object = isinstance(answer, str) and answer.lstrip().startswith("{")
    return json_or_text(str(answer)) if is_object else answer


def _expected(answer: JsonValue, only: str | None) -> JsonValue:
    """Return a right answer as an object; any other value becomes the only field of answers."""
    if answer is None or isinstance(answer, dict) or only is None:
        return answer
    return {only: js.text(answer) if only == ANSWER else answer}


def _problem(fields: JsonObject, expected: JsonValue, output: JsonObject) -> str:
    """Why a row is no example, empty where it is one."""
    if hidden := hidden_reason(fields, expected):
        return hidden
    if isinstance(expected, dict) and (problem := schema_problem(expected, output)):
        return f"its right answer breaks the output's schema: {problem}"
    return ""


def _scorer(output: JsonObject, references: Sequence[Reference]) -> JsonObject:
    """Return how answers are compared: as the graders do, else field by field, else as a whole."""
    fields = {
        reference.field: FieldRule() if reference.fold else FieldRule(compare="exact")
        for reference in references
        if reference.field is not None
    }
    whole = [reference for reference in references if reference.field is None]
    declared = properties(output)
    if fields and not whole:
        return FieldsSettings(type="json_fields", fields=fields).to_file()
    if any("." in name for name in declared):  # No path leads to such a value.
        return ExactSettings(type="exact").to_file()
    if whole and whole[0].fold and len(declared) == 1:
        return TextSettings(type="text", field=next(iter(declared))).to_file()
    scalar = all(_is_scalar(schema, output) for schema in declared.values())
    if not references and len(declared) > 1 and scalar:
        return FieldsSettings.of_equal(declared).to_file()
    return ExactSettings(type="exact").to_file()


def _is_scalar(schema: JsonValue, root: JsonObject, around: frozenset[str] = frozenset()) -> bool:
    """Whether a schema inside `root` names types of single values, of which null may be one."""
    schema, around = _followed(schema, root, around)
    if not isinstance(schema, dict):
        return False
    # As pydantic writes an optional field.
    if isinstance(ways := schema.get("anyOf"), list):
        others = [way for way in ways if way != {"type": "null"}]
        return bool(others) and all(_is_scalar(way, root, around) for way in others)
    kinds = {*types_of(schema)} - {"null"}
    return bool(kinds) and kinds <= _SCALARS


def _followed(
    schema: JsonValue, root: JsonObject, around: frozenset[str]
) -> tuple[JsonValue, frozenset[str]]:
    """Return what a schema refers to, and the references `around` it with its own.

    What holds itself has an end where it may be null, so that is what it is inside itself.
    """
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(reference, str):
        return schema, around
    if reference in around:
        return {"type": "null"}, around
    return resolve(schema, root), around | {reference}


# --- The fields that fill a prompt -------------------------------------------------------------


def _note_unread(
    draft: Draft, rows: Sequence[Row], references: Sequence[Reference], notes: Notes
) -> None:
    """Note the fields of rows that are asked for by neither the prompt nor a grader."""
    read = draft.variables.keys() | {reference.item for reference in references}
    for row in rows:
        for name in (name for name in row.values if name not in read):
            why = "neither the prompt nor a grader reads it, so it is no part of an example"
            notes.lost(row.place, f"the field {name!r}", why)


def _inputs(draft: Draft, rows: Sequence[Row], notes: Notes) -> list[JsonObject | None]:
    """Return each row's fields that the prompt reads; None, which is noted, if one is missing."""
    mixed = {
        name
        for name, schema in draft.variables.items()
        if not schema and not type_of([row.values[name] for row in rows if name in row.values])
    }
    found: list[JsonObject | None] = []
    for row in rows:
        missing = next((name for name in draft.variables if row.values.get(name) is None), None)
        if missing is not None:
            notes.lost(row.place, "a row", f"it has no {missing!r}, which the prompt reads")
            found.append(None)
            continue
        fields: JsonObject = {}
        for name, schema in draft.variables.items():
            value = row.values[name]
            if _may_be_written_otherwise(value, schema):
                value = js.text(value) if name in mixed and not isinstance(value, dict) else value
                why = "is no text: it is written as JSON has it, which need not be as it was there"
                notes.changed(row.place, f"the value of {name!r}", why)
            fields[name] = value
        found.append(fields)
    return found


def _may_be_written_otherwise(value: JsonValue, schema: JsonObject) -> bool:
    """Whether a value is no text, or a list of other things, and nothing says what it is."""
    if schema and isinstance(value, list):
        return "items" not in schema and not all(isinstance(item, str) for item in value)
    return not schema and not isinstance(value, str)


def _input_contract(draft: Draft, inputs: Sequence[JsonObject]) -> JsonObject:
    fields: JsonObject = {
        name: schema or type_of([given[name] for given in inputs]) or {"type": "string"}
        for name, schema in draft.variables.items()
    }
    return object_schema(fields, fields)


def made_up(draft: Draft) -> tuple[JsonObject, JsonObject]:
    """Return an input and an answer that keep the contracts until some are labelled."""
    given = {name: draft.samples.get(name, _value(s, s)) for name, s in draft.variables.items()}
    output = draft.output or plain_contract()
    answer = _value(output, output)
    return given, answer if isinstance(answer, dict) else {}


def _value(schema: JsonValue, root: JsonObject, around: frozenset[str] = frozenset()) -> JsonValue:
    """Return a value that keeps the commonest words of a JSON Schema inside `root`."""
    schema, around = _followed(schema, root, around)
    known = schema if isinstance(schema, dict) else {}
    enum, kind, least = known.get("enum"), known.get("type"), known.get("minimum")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if isinstance(enum, list) and enum:
        return enum[0]
    if "const" in known:
        return known["const"]
    if isinstance(ways := known.get("anyOf"), list) and ways:
        return _value(ways[0], root, around)
    match kind:
        case "object":
            declared = properties(known)
            return {name: _value(inner, root, around) for name, inner in declared.items()}
        case "array":
            number = known.get("minItems")
            # A longer list is not made up: validation then says what is missing.
            item = _value(known.get("items"), root, around)
            return [item] * (min(number, 10) if type(number) is int else 1)
        case "boolean":
            return True
        case "integer" | "number":
            return least if isinstance(least, int | float) else 1
        case "null":
            return None
    return PLACEHOLDER
