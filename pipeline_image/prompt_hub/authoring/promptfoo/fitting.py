"""The inputs of examples: for each the values with which a prompt says here what it says there.

A value goes over as it is, where the prompt then says the same. Where it does not, a value in
another form may: a text for a number that JavaScript writes otherwise, an empty text for one that
is not there. What no form makes the same is lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.schemas import object_schema, type_of
from prompt_hub.authoring.promptfoo.prompts import ImportedPrompt
from prompt_hub.authoring.promptfoo.scoring import Labelled
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.templates import render_text

MAX_TRIES = 256
"""Combinations of forms that are tried for one test."""
_SHOWN = 60
_EMPTY = "is an empty text where a test does not say it, as Nunjucks renders it"
_NO_LIST = "is an empty list where a test does not say it, as Nunjucks loops over it"
_LEFT_OUT = "is left out where it is null, as Nunjucks renders it"
_TEXT = "is a text, as Nunjucks renders it"


@dataclass(frozen=True)
class Fitted:
    """The input contract, and the tests that could be carried over with their inputs."""

    contract: JsonObject
    labelled: tuple[Labelled, ...]
    inputs: tuple[JsonObject, ...]


def fitted(labelled: Sequence[Labelled], prompt: ImportedPrompt, notes: Notes) -> Fitted:
    """Find the inputs of examples; tests whose prompt cannot be said alike are noted as lost."""
    kept: list[Labelled] = []
    inputs: list[JsonObject] = []
    asked: list[list[str]] = []
    reasons: dict[bool, str] = {}
    for item in labelled:
        place = item.case.place
        try:
            values = prompt.values(item.case.values)
            sent = prompt.sent(values)
        except js.UnknownMeaningError as error:
            why = f"what promptfoo sends for it cannot be worked out: {error}"
            notes.lost(place, "a test", why)
            continue
        chosen = next((form for form in _forms(values, prompt) if _says(prompt, form, sent)), None)
        if chosen is None:
            here = _rendered(
                prompt, {name: values[name] for name in values.keys() & prompt.variables}
            )
            # The first of each kind says it for all: thousands of rows may differ alike.
            why = reasons.setdefault(isinstance(here, str), _difference(sent, here))
            notes.lost(place, "a test", why)
            continue
        for name, (_, why) in chosen.items():
            if why:
                notes.changed(place, f"the variable {name!r}", why)
        for name in (name for name in values if name not in prompt.variables):
            why = "is not read by the prompt, so it is no part of the input"
            notes.changed(place, f"the variable {name!r}", why)
        kept.append(item)
        inputs.append(_fields(chosen))
        asked.append(sent)
    for name in _in_order(prompt):
        mixed = not type_of([fields[name] for fields in inputs if name in fields])
        texts = [_with_text(fields, name) for fields in inputs] if mixed else inputs
        if texts != inputs and [_rendered(prompt, fields) for fields in texts] == asked:
            notes.changed(kept[0].case.place, f"the variable {name!r}", _TEXT)
            inputs = texts
    return Fitted(_contract(inputs, kept, prompt, notes), tuple(kept), tuple(inputs))


Form = dict[str, tuple[js.Value, str]]
"""The value of each variable, and what was done to it, if anything."""


def _forms(values: Mapping[str, JsonValue], prompt: ImportedPrompt) -> Sequence[Form]:
    """Every combination of the forms of a test's variables, as they are before anything else."""
    names = _in_order(prompt)
    combinations = itertools.product(*(_options(values.get(name, js.UNDEFINED)) for name in names))
    return [
        dict(zip(names, form, strict=True)) for form in itertools.islice(combinations, MAX_TRIES)
    ]


def _in_order(prompt: ImportedPrompt) -> list[str]:
    text = " ".join(message.content for message in prompt.messages)
    return sorted(prompt.variables, key=lambda name: (text.find(name), name))


def _options(value: js.Value) -> list[tuple[js.Value, str]]:
    absent: list[tuple[js.Value, str]] = [("", _EMPTY), ([], _NO_LIST)]
    match value:
        case js.Undefined():
            return [(value, ""), *absent]
        case None:
            return [(value, ""), (js.UNDEFINED, _LEFT_OUT), *absent]
        case str() | dict():
            return [(value, "")]
    return [(value, ""), (js.text(value), _TEXT)]


def _fields(form: Form) -> JsonObject:
    return {name: v for name, (v, _) in form.items() if not isinstance(v, js.Undefined)}


def _says(prompt: ImportedPrompt, form: Form, sent: list[str]) -> bool:
    return _rendered(prompt, _fields(form)) == sent


def _with_text(fields: JsonObject, name: str) -> JsonObject:
    """Return an input in which a value is a text, where it can be: a field has one type."""
    if name not in fields or isinstance(fields[name], dict):
        return fields
    return {**fields, name: js.text(fields[name])}


def _rendered(prompt: ImportedPrompt, fields: JsonObject) -> list[str] | str:
    """Return the texts of the messages here, or why there are none."""
    try:
        return [render_text(message.content, fields) for message in prompt.messages]
    # A template is a program of its author's: whatever it raises is about the template.
    except Exception as error:
        return str(error)


def _difference(there: list[str], here: list[str] | str) -> str:
    if isinstance(here, str):
        return f"its prompt cannot be filled in here: {here}"
    pairs = ((one, other) for one, other in zip(there, here, strict=False) if one != other)
    one, other = next(pairs, ("", ""))
    equal = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    cut = max(0, equal - _SHOWN // 2)
    return (
        f"its prompt says {one[cut : cut + _SHOWN]!r} there,"
        f" and {other[cut : cut + _SHOWN]!r} here: Nunjucks and Jinja2 differ"
    )


# --- The input contract ------------------------------------------------------------------------


def _contract(
    inputs: Sequence[JsonObject], kept: Sequence[Labelled], prompt: ImportedPrompt, notes: Notes
) -> JsonObject:
    properties: JsonObject = {}
    required = []
    for name in _in_order(prompt):
        values = [fields[name] for fields in inputs if name in fields]
        absent = next((i for i, fields in enumerate(inputs) if name not in fields), None)

        def bounded(path: str, length: int) -> None:
            why = f"holds {length} elements at most, as the longest of the tests: a loop needs it"
            notes.changed(kept[0].case.place, f"the list {path!r}", why)

        shape = shape_of(values, name, bounded) if prompt.loops else type_of(values)
        properties[name] = shape if values else {"type": "string"}
        if absent is None:
            required.append(name)
        else:
            why = "may be left out, as it is in some of the tests"
            notes.changed(kept[absent].case.place, f"the variable {name!r}", why)
    return object_schema(properties, required)


def shape_of(
    values: Sequence[JsonValue], path: str, bounded: Callable[[str, int], None]
) -> JsonObject:
    """Return the JSON Schema of values, lists with a bound: for templates that loop over them."""
    shape = type_of(values)
    if shape.get("type") == "array":
        lists = [value for value in values if isinstance(value, list)]
        shape["maxItems"] = longest = max(map(len, lists), default=0)
        bounded(path, longest)
        if items := shape_of([item for value in lists for item in value], f"{path}[]", bounded):
            shape["items"] = items
    if shape.get("type") == "object":
        objects = [value for value in values if isinstance(value, dict)]
        names = dict.fromkeys(name for value in objects for name in value)
        shape["properties"] = {
            name: shape_of([v[name] for v in objects if name in v], f"{path}.{name}", bounded)
            for name in names
        }
    return shape
