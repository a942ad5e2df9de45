"""The page of all settings, made from the schemas that editors read.

`make docs` writes `docs/settings.md`, and the schemas beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from docs.settings_schemas import CDK, MODELS, Json, cdk_schema, models_schema, properties_of
from prompt_hub.llm.providers.base import PROVIDER_KEYS
from prompt_hub.llm.providers.registry import all_providers
from prompt_hub.validation.schemas import schema_text

FOLDER = Path(__file__).parent

_HEAD = """\
# Settings

Written by `make docs`; do not edit. All that one installation may have otherwise than another:
the object `prompt-hub` in `context` of `cdk.json`, and the model aliases in it. What is wrong with
it, `make synth` says in one sentence: which setting, what it is, what it should be.

## In an editor

[`cdk.json`](../cdk.json) names its schema in its first line, so that editors complete keys, explain
them and mark what does not fit. It knows each value by itself; rules between settings are checked
at synthesis:

```json
"$schema": "./docs/schemas/cdk.schema.json"
```

A file of models for `PROMPT_HUB_MODELS` has aliases as its keys and no room for such a line: tell
the editor that it keeps [`docs/schemas/models.schema.json`](schemas/models.schema.json). In Visual
Studio Code, `.vscode/settings.json`:

```json
"json.schemas": [{ "fileMatch": ["models.json"], "url": "./docs/schemas/models.schema.json" }]
```

Prompts and metadata name theirs themselves ([files](prompts.md#in-an-editor)).
"""
_TITLES = {
    "Settings": "The installation",
    "StageSettings": "A stage",
    "ModelConfig": "A model alias",
}
"""Types with a section of their own; what is only in one of them is described below it."""
_ALIAS = """\
An entry of `models` in `cdk.json`, of the installation or of a stage, and of `PROMPT_HUB_MODELS`.
Both are read by the same model of settings, so a key means the same in both. A key that the alias's
provider does not take is refused. How each provider is asked: [model calls](model-calls.md)."""
_DOCUMENT = re.compile(r"`?\bdocs/([\w-]+)\.md`?")


def settings_page() -> str:
    """Make the page."""
    # Of `cdk.json`, with the keys that only the other file's aliases have.
    definitions = {**_definitions(cdk_schema()), **_definitions(models_schema())}
    titles: dict[str, str] = {}
    for name, title in _TITLES.items():
        titles |= {name: title, **dict(_nested(name, "", definitions))}
    parts = [_HEAD]
    for name, title in titles.items():
        definition = definitions[name]
        about = _ALIAS if name == "ModelConfig" else _prose(definition["description"])
        heading = f"{'##' if name in _TITLES else '###'} {title}"
        parts += [f"{heading}\n", f"{about}\n", *_table(name, definitions, titles), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def write(folder: Path) -> None:
    """Write the page and the schemas into `folder`."""
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    for name, schema in ((CDK, cdk_schema()), (MODELS, models_schema())):
        (folder / "schemas" / name).write_text(schema_text(schema), encoding="utf-8")


def _definitions(schema: Json) -> dict[str, Json]:
    return cast(dict[str, Json], schema["$defs"])


def _nested(name: str, path: str, definitions: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield what is described below a type in a section of its own, with its title."""
    for key, schema in properties_of(definitions[name]).items():
        inner = _reference(schema)
        if inner and inner not in _TITLES:
            yield inner, f"`{path}{key}`"
            yield from _nested(inner, f"{path}{key}.", definitions)


def _table(name: str, definitions: Mapping[str, Json], titles: Mapping[str, str]) -> Iterator[str]:
    definition, of_alias = definitions[name], name == "ModelConfig"
    head = ["key", "meaning", "type", "default", "example", *(["providers"] if of_alias else ())]
    yield _row(head)
    yield _row("---" for _ in head)
    required = cast(list[str], definition.get("required", []))
    for key, schema in properties_of(definition).items():
        default = "required" if key in required else _default(schema.get("default"))
        example = json.dumps({key: _example(schema, definitions)}, ensure_ascii=False)[1:-1]
        cells = [f"`{key}`", _prose(schema["description"]), _kind(schema, titles), default]
        yield _row([*cells, f"`{example}`", *([_takers(key)] if of_alias else ())])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _prose(words: object) -> str:
    """Write a docstring as one line of the page, with the pages that it names as links."""
    line = " ".join(str(words).split()).replace("|", "\\|")
    return _DOCUMENT.sub(r"[\1](\1.md)", line)


def _default(value: object) -> str:
    return "none" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _one(schema: Json) -> Json:
    """Return the schema of a value that is there: `null` is how a setting is left out."""
    for choice in cast(list[Json], schema.get("anyOf", [])):
        if choice.get("type") != "null":
            return {**choice, **{key: schema[key] for key in ("examples",) if key in schema}}
    return schema


def _reference(schema: Json) -> str:
    """Return the name of the type that a key, its items or its entries have; empty for none."""
    found = _one(schema)
    for inner in (found, found.get("items"), found.get("additionalProperties")):
        if isinstance(inner, dict) and "$ref" in inner:
            return str(inner["$ref"]).rpartition("/")[2]
    return ""


def _kind(schema: Json, titles: Mapping[str, str]) -> str:
    found = _one(schema)
    if "$ref" in found:
        anchor = re.sub(r"[^\w\- ]", "", titles[_reference(found)].lower()).replace(" ", "-")
        return f"[object](#{anchor})"
    if "enum" in found:
        return " or ".join(f"`{choice}`" for choice in cast(list[str], found["enum"]))
    match found["type"]:
        case "array":
            return f"list: {_kind(cast(Json, found['items']), titles)}"
        case "object":
            return f"by name: {_kind(cast(Json, found['additionalProperties']), titles)}"
        case "boolean":
            return "true or false"
        case "string":
            return "text" + _range(found, "minLength", "maxLength", " characters")
        case "integer":
            return "whole number" + _range(found, "minimum", "maximum")
        case _:
            return "number" + _range(found, "minimum", "maximum")


def _range(schema: Json, low: str, high: str, unit: str = "") -> str:
    words = [
        *([f"from {_number(schema[low])}"] if low in schema else ()),
        *(["above 0"] if "exclusiveMinimum" in schema else ()),
        *([f"to {_number(schema[high])}"] if high in schema else ()),
    ]
    return " ".join(["", *words]) + (unit if words else "")


def _number(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _example(schema: Json, definitions: Mapping[str, Json]) -> object:
    """Compose a value: the example that is stated, or else the least that is right."""
    found = _one(schema)
    examples, choices = found.get("examples"), found.get("enum")
    if isinstance(examples, list):
        return examples[0]
    if "$ref" in found:
        definition = definitions[_reference(found)]
        properties, required = properties_of(definition), definition.get("required", [])
        return {key: _example(properties[key], definitions) for key in cast(list[str], required)}
    if isinstance(choices, list):
        return next(choice for choice in reversed(choices) if choice != schema.get("default"))
    match found["type"]:
        case "array":
            return [_example(cast(Json, found["items"]), definitions)]
        case "object":
            entries = cast(Json, found["additionalProperties"])
            return {"catalogue-pinned": _example(entries, definitions)}
        case "boolean":
            return not schema.get("default")
        case "string":
            return "text"
        case _:
            return _another(schema.get("default"), found)


def _another(default: object, schema: Json) -> object:
    """Return a number that is not the default; where it can be, twice of it."""
    least = schema.get("minimum", 1)
    if not isinstance(default, int | float) or default == 0:
        return least
    most = cast(float, schema.get("maximum", 2 * default))
    return min(2 * default, int(most))


def _takers(key: str) -> str:
    if key not in PROVIDER_KEYS:
        return "all"
    return ", ".join(
        f"{name} (required)" if key in provider.required_keys else name
        for name, provider in all_providers().items()
        if key in provider.required_keys | provider.optional_keys
    )


if __name__ == "__main__":
    write(FOLDER)
