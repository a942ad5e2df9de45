"""Picoschema, the short form of JSON Schema in a `.prompt` file, as JSON Schema."""

from __future__ import annotations

from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import Node, broken
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.schemas import in_todays_draft
from prompt_hub.repository.schema import JsonObject

_SCALARS = ("any", "boolean", "integer", "null", "number", "string")


def schema_of(node: Node, notes: Notes) -> JsonObject:
    """Return the schema; raises `InvalidDocumentsError` for a name that stands for another."""
    data = node.data
    if isinstance(data, dict) and data.get("type") in (*_SCALARS, "object", "array"):
        return in_todays_draft(data)
    if isinstance(data, dict) and isinstance(data.get("properties"), dict):
        return in_todays_draft({**data, "type": "object"})
    if isinstance(data, str):
        return _scalar(node, data)
    if not isinstance(data, dict):
        raise broken(*node.place, "a schema that is neither fields nor a type", "fields and types")
    return _object(node, notes)


def _scalar(node: Node, text: str) -> JsonObject:
    name, _, description = (part.strip() for part in text.partition(","))
    if name not in _SCALARS:
        expected = f"one of {', '.join(_SCALARS)}: write the schema out that it stands for"
        raise broken(*node.place, f"the type {name[:40]!r}", expected)
    schema: JsonObject = {} if name == "any" else {"type": name}
    return {**schema, "description": description} if description else schema


def _object(node: Node, notes: Notes) -> JsonObject:
    found: JsonObject = {}
    required: list[JsonValue] = []
    more: JsonValue = False
    for key, value in node.items():
        if key == "(*)":
            more = schema_of(value, notes)
            continue
        head, bracket, rest = key.partition("(")
        name = head.removesuffix("?").strip()
        if bracket and not rest.endswith(")"):
            raise broken(*value.place, f"the field {key[:40]!r}", "a name, or name(type, words)")
        found[name] = _field(value, rest[:-1], notes)
        if head.endswith("?"):
            why = "may be left out, and is never null here"
            notes.changed(value.place, f"the field {name!r}", why)
        else:
            required.append(name)
    schema: JsonObject = {"type": "object", "additionalProperties": more, "properties": found}
    return {**schema, "required": required} if required else schema


def _field(node: Node, form: str, notes: Notes) -> JsonObject:
    """Return the schema of a field: `form` is what stands in brackets behind its name."""
    kind, _, description = (part.strip() for part in form.partition(","))
    match kind:
        case "":
            schema = schema_of(node, notes)
        case "array":
            schema = {"type": "array", "items": schema_of(node, notes)}
        case "object":
            schema = schema_of(node, notes)
        case "enum" if isinstance(node.data, list):
            schema = {"enum": node.data}
            if all(isinstance(value, str) for value in node.data):
                schema["type"] = "string"
        case _:
            raise broken(*node.place, f"({form[:40]})", "array, object or enum, and words")
    return {**schema, "description": description} if description else schema
