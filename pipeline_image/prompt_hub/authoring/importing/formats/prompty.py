"""A `.prompty` file, version 1 or 2: front matter in YAML, and a text with lines like `user:`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.importing.braces import from_mustache
from prompt_hub.authoring.importing.documents import (
    Node,
    Page,
    broken,
    parsed_json,
    parsed_page,
    parsed_yaml,
    text_in,
    unkept,
)
from prompt_hub.authoring.importing.form import Draft, Fields, end_front_matter, with_question
from prompt_hub.authoring.importing.messages import Chat, Convert, is_json, response_schema
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.reasons import HISTORY, NO_PARAMETER, NO_PROVIDER, REASONS
from prompt_hub.authoring.importing.schemas import object_schema, shape_of_sample
from prompt_hub.authoring.importing.templates import Converted, from_jinja
from prompt_hub.repository.schema import JsonObject

_ROLE = re.compile(
    r"(?:#\s*)?(?P<role>system|user|assistant|developer|function|tool)\s*(?P<more>\[[^\]]*\]\s*)?:",
    re.IGNORECASE,
)
_FILE = re.compile(r"\$\{file:(.+)\}")
_ENVIRONMENT = "${env:"
_MODEL_KEYS = ("azure_deployment", "name", "model")
_NAMED_ELSEWHERE = "name the model or deployment where the alias is configured"
_KINDS = {
    **{kind: kind for kind in ("string", "integer", "number", "boolean", "array", "object")},
    "float": "number",
}
_RICH = {"thread": HISTORY, **dict.fromkeys(("image", "file", "audio"), "tasks read text alone")}


def prompty(path: Path, notes: Notes) -> Draft:
    """Read a file; raises `InvalidDocumentsError` for what it says and a prompt here cannot."""
    page = parsed_page(text_in(path, path.name), path.name)
    front = Fields(page.front, notes)
    title, description = front.text("name") or path.stem, front.text("description")
    if (base := front.take("base")) is not None:
        raise broken(*base.place, "'base', another file that this one builds on", REASONS["base"])
    types, samples, rich, places = _inputs(front, notes)
    chat = Chat(notes, _converter(front, types, rich, notes))
    for role, text, place in _sections(page, rich, notes):
        chat.add(role, text, place)
    model, provider, parameters, format_ = _model(front, path, notes)
    output = response_schema(format_, notes)
    if (outputs := front.take("outputs") or front.take("outputSchema")) is not None:
        output = _object(outputs, notes)
    end_front_matter(front, chat.variables, {name: places[name] for name in types})
    return Draft(
        name=f"Prompty {title}",
        place=page.front.place,
        messages=with_question(chat.messages, page.front.place, notes),
        variables=chat.variables,
        model=model,
        provider=provider,
        parameters=parameters,
        output=output,
        json=is_json(format_),
        description=description,
        samples={name: samples[name] for name in chat.variables if name in samples},
    )


# --- The text ----------------------------------------------------------------------------------


def _sections(
    page: Page, rich: Mapping[str, str], notes: Notes
) -> Iterator[tuple[str, str, Place]]:
    """Yield the messages of a text: who says each, its template, and where it begins."""
    file = page.front.source.file
    role = "system"
    lines: list[str] = []
    first = page.line
    for number, line in enumerate([*page.body.split("\n"), "user:"], start=page.line):
        found = _ROLE.fullmatch(line.strip())
        if found is None:
            name = line.strip().removeprefix("{{").removesuffix("}}").strip()
            if name in rich and line.strip() != name:
                notes.lost((file, number), f"the input {name!r}", rich[name])
                line = ""
            lines.append(line)
            continue
        blank = next((i for i, text in enumerate(lines) if text.strip()), len(lines))
        text = "\n".join(lines[blank:]).rstrip()
        if text:
            if text.endswith("}}" if "{{/" in text.split("\n")[-1] else "%}"):
                why = "is kept behind a message that ends with a block"
                notes.changed((file, number - 1), "white space", why)
            yield role, text, (file, first + blank)
        if found["more"]:
            why = "a message here is a role and a text"
            notes.lost((file, number), f"{found['more'].strip()} of a message", why)
        role = str(found["role"]).lower()
        lines, first = [], number + 1


def _converter(
    front: Fields, types: Mapping[str, JsonObject], rich: Mapping[str, str], notes: Notes
) -> Convert:
    """Return what converts the templates of the language that the file names."""
    template = front.take("template") or Node("jinja2", front.node.source)
    language, parser = template, Node("prompty", template.source)
    if isinstance(template.data, dict):
        settings = Fields(template, notes)
        language = settings.take("format") or settings.take("type") or Node("jinja2", parser.source)
        parser = settings.take("parser") or parser
        settings.rest("'template'", {})
    if isinstance(language.data, dict):
        why = "a value is never read as a role here, whatever it says"
        more = Fields(language, notes)
        more.text("kind")
        more.rest("the template's format", {"strict": why})
    named, kind = ((node.get("kind") or node).data for node in (language, parser))
    if kind != "prompty":
        raise broken(*template.place, f"the parser {kind!r}", "the parser 'prompty'")
    if named not in ("jinja2", "mustache"):
        raise broken(*template.place, f"the template language {named!r}", "jinja2 or mustache")

    def convert(text: str, place: Place) -> Converted:
        convert_text = from_jinja if named == "jinja2" else from_mustache
        converted = convert_text(text, place, types, notes)
        for name in sorted(converted.variables.keys() & rich.keys()):
            found = f"the input {name!r} among the words of a message"
            raise broken(*place, found, f"none of its kind: {rich[name]}")
        return converted

    return convert


# --- The front matter --------------------------------------------------------------------------


def _inputs(
    front: Fields, notes: Notes
) -> tuple[dict[str, JsonObject], JsonObject, dict[str, str], dict[str, Place]]:
    """Return the declared fields with their schemas, values, those of no text, and the places."""
    places: dict[str, Place] = {}
    types: dict[str, JsonObject] = {}
    samples: JsonObject = {}
    rich: dict[str, str] = {}
    given = front.take("inputs") or front.take("inputSchema")
    for name, node in _properties(given):
        kind = (node.get("kind") or node.get("type") or node).data
        if isinstance(kind, str) and kind in _RICH:
            rich[name] = _RICH[kind]
            continue
        places[name] = node.place
        declared, value = _property(node, f"the input {name!r}", notes)
        types[name] = _with_sample(declared, value)
        if value is not None and unkept(value) is None:
            samples[name] = value
    sample = front.take("sample")
    if sample is not None and not isinstance(sample.data, dict):
        why = "copy its values into an example"
        notes.lost(sample.place, "a sample in another file", why)
    for name, node in sample.items() if sample is not None else ():
        if unkept(node.data) is None:
            samples[name] = node.data
        places.setdefault(name, node.place)
        types[name] = _with_sample(types.get(name, {}), node.data)
    return types, samples, rich, places


def _properties(node: Node | None) -> Iterator[tuple[str, Node]]:
    """Yield properties by their names, in each form: a mapping, a list, or below `properties`."""
    inner = node.get("properties") if node is not None else None
    node = inner or node
    if node is not None and isinstance(node.data, list):
        for element in node.elements():
            name = element.get("name")
            yield str(name.data) if name is not None else "", element
    elif node is not None:
        yield from node.items()


def _property(node: Node, what: str, notes: Notes) -> tuple[JsonObject, JsonValue]:
    """Return the schema of a property, and its value where it has one."""
    if not isinstance(node.data, dict):
        return shape_of_sample(node.data), node.data
    fields = Fields(node, notes)
    fields.text("name")
    kind = fields.text("kind") or fields.text("type") or "string"
    if kind not in _KINDS:
        raise broken(*node.place, f"{what} of the kind {kind!r}", f"one of {', '.join(_KINDS)}")
    schema: JsonObject = {"type": _KINDS[kind]}
    if description := fields.text("description"):
        schema["description"] = description
    if (enum := fields.take("enumValues")) is not None and unkept(enum.data) is None:
        schema["enum"] = enum.data
    items = fields.take("items")
    if kind == "array" and items is not None:
        schema["items"], _ = _property(items, what, notes)
    if kind == "object" and (inner := fields.take("properties")) is not None:
        schema = {**_object(inner, notes), **schema}
    values = [fields.take(key) for key in ("default", "example", "sample")]
    required = fields.take("required")
    if required is not None and required.data is False:
        why = "may be left out there; here every field is given, if only empty"
        notes.changed(required.place, what, why)
    fields.rest(what, {}, "write it into the schema yourself")
    return schema, next((value.data for value in values if value is not None), None)


def _with_sample(schema: JsonObject, value: JsonValue) -> JsonObject:
    """Return a schema with what a value of its type shows of what it does not say itself."""
    shape = shape_of_sample(value)
    is_one = schema.get("type", shape.get("type")) == shape.get("type")
    return {**shape, **schema} if is_one else schema


def _object(node: Node, notes: Notes) -> JsonObject:
    """Return the schema of an object with these properties and no others."""
    found: JsonObject = {
        name: _property(inner, f"the field {name!r}", notes)[0] for name, inner in _properties(node)
    }
    return object_schema(found, found)


def _model(front: Fields, path: Path, notes: Notes) -> tuple[str, str, JsonObject, Node | None]:
    """Return the model, its provider, its parameters and its answer's format."""
    node = front.take("model")
    if node is None:
        return "", "", {}, None
    if isinstance(node.data, str):
        if _ENVIRONMENT not in node.data:
            return node.data, "", {}, None
        notes.lost(node.place, "the model", _NAMED_ELSEWHERE)
        return "", "", {}, None
    model = Fields(node, notes)
    configuration = model.inner("configuration")
    name, provider = _stated(model, "id"), _stated(model, "provider")
    api = model.text("api") or model.text("apiType") or "chat"
    if api not in ("chat", "responses", "completion"):
        raise broken(*node.place, f"the API {api!r}", "chat: a task answers with data")
    if configuration is not None:
        name = name or _stated(configuration, *_MODEL_KEYS)
        provider = provider or _stated(configuration, "type")
        reasons = dict.fromkeys(_MODEL_KEYS, _NAMED_ELSEWHERE)
        configuration.rest("the model's configuration", reasons, REASONS["configuration"])
    options = model.inner("options") or model.inner("parameters")
    parameters: JsonObject = {}
    format_ = None
    if options is not None:
        parameters = options.parameters()
        format_ = _file(options.take("response_format"), path, notes)
        options.rest("the model's parameters", {}, NO_PARAMETER)
    model.rest("the model", {**REASONS, "id": _NAMED_ELSEWHERE, "provider": NO_PROVIDER})
    return name, provider, parameters, format_


def _stated(fields: Fields, *keys: str) -> str:
    """Return the first of these texts that the file states itself.

    What is a variable of the environment stays to be listed.
    """
    for key in keys:
        node = fields.node.get(key)
        of_environment = node is not None and _ENVIRONMENT in str(node.data)
        if not of_environment and (text := fields.text(key)):
            return text
    return ""


def _file(node: Node | None, path: Path, notes: Notes) -> Node | None:
    """Return what `${file:…}` stands for: a file of the folder, or of one in it, and no other."""
    if node is None or not isinstance(node.data, str):
        return node
    found = _FILE.fullmatch(node.data)
    if found is None:
        return node
    folder = path.resolve().parent
    other = Path(os.path.realpath(folder / found[1]))
    if not other.is_relative_to(folder):
        raise broken(*node.place, f"{node.data}, outside its folder", "a file of the folder")
    text = text_in(other, found[1])
    return parsed_json(text, found[1]) if other.suffix == ".json" else parsed_yaml(text, found[1])
