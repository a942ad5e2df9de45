"""The inputs of examples: for each the values with which a prompt says here what it says there.

A value goes over as it is, where the prompt then says the same. Where it does not, a value in
another form may: a text for a number that JavaScript writes otherwise, a number for a text that is
compared with one, an empty text for one that is not there. What no form makes the same is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo.notes import Notes, Place
from prompt_hub.authoring.promptfoo.nunjucks import UnknownMeaningError
from prompt_hub.authoring.promptfoo.prompts import ImportedPrompt
from prompt_hub.authoring.promptfoo.schemas import type_of
from prompt_hub.authoring.promptfoo.scoring import Labelled
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.templates import render_text

Column = list[JsonValue | js.Undefined]
"""The values of one variable, over all tests."""
_SHOWN = 60


@dataclass(frozen=True)
class Fitted:
    """The input contract, and the tests that could be carried over with their inputs."""

    contract: JsonObject
    labelled: tuple[Labelled, ...]
    inputs: tuple[JsonObject, ...]


def fitted(labelled: Sequence[Labelled], prompt: ImportedPrompt, notes: Notes) -> Fitted:
    """Find the inputs of examples; tests whose prompt cannot be said alike are noted as lost."""
    sent: list[list[str]] = []
    known: list[Labelled] = []
    rows: list[Mapping[str, JsonValue]] = []
    for item in labelled:
        try:
            values = prompt.values(item.case.values)
            sent.append(prompt.sent(values))
        except UnknownMeaningError as error:
            why = f"what promptfoo sends for it cannot be worked out: {error}"
            notes.lost(item.case.place, "a test", why)
            continue
        known.append(item)
        rows.append(values)
    columns: dict[str, Column] = {
        name: [values.get(name, js.UNDEFINED) for values in rows] for name in _in_order(prompt)
    }
    places = [item.case.place for item in known]
    columns = _Search(prompt, sent, places, notes).run(columns)
    kept = []
    reasons: dict[bool, str] = {}
    for index, item in enumerate(known):
        rendered = _rendered(prompt, _row(columns, index))
        if rendered == sent[index]:
            kept.append(index)
        else:
            # The first of each kind says it for all: thousands of rows may differ alike.
            why = reasons.setdefault(isinstance(rendered, str), _difference(sent[index], rendered))
            notes.lost(item.case.place, "a test", why)
    for item in known:
        for name in item.case.values.keys() - prompt.variables:
            why = "is not read by the prompt, so it is no part of the input"
            notes.changed(item.case.place, f"the variable {name!r}", why)
    chosen = {name: [column[index] for index in kept] for name, column in columns.items()}
    return Fitted(
        contract=_contract(chosen, prompt, places, notes),
        labelled=tuple(known[index] for index in kept),
        inputs=tuple(_row(columns, index) for index in kept),
    )


def _in_order(prompt: ImportedPrompt) -> list[str]:
    text = " ".join(message.content for message in prompt.messages)
    return sorted(prompt.variables, key=lambda name: (text.find(name), name))


def _row(columns: Mapping[str, Column], index: int) -> JsonObject:
    given = {name: column[index] for name, column in columns.items()}
    return {name: value for name, value in given.items() if not isinstance(value, js.Undefined)}


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


class _Search:
    """Tries forms of one variable after the other, as long as more tests say the same."""

    def __init__(
        self,
        prompt: ImportedPrompt,
        sent: Sequence[list[str]],
        places: Sequence[Place],
        notes: Notes,
    ) -> None:
        self._prompt = prompt
        self._sent = sent
        self._places = places
        self._notes = notes

    def run(self, columns: dict[str, Column]) -> dict[str, Column]:
        """Return the columns in the forms with which most tests say the same."""
        wrong = self._wrong(columns)
        # What one variable hides, another round finds.
        for _ in range(len(columns) + 1):
            before = len(wrong)
            for name in columns:
                columns, wrong = self._with_better(columns, name, wrong)
            if not wrong or len(wrong) == before:
                break
        return columns

    def _with_better(
        self, columns: dict[str, Column], name: str, wrong: list[int]
    ) -> tuple[dict[str, Column], list[int]]:
        """Return columns with the best form of one, and the tests that are wrong then."""
        for why, form in _FORMS:
            column = columns[name]
            mixed = not _is_of_one_type(column)
            tried = form(column) if wrong or mixed else None
            if tried is None or tried == column:
                continue
            changed = {**columns, name: tried}
            typed = mixed and _is_of_one_type(tried)
            # Of many tests only those that are wrong are looked at, as long as none gets right.
            if not typed and all(self._is_wrong(changed, index) for index in wrong):
                continue
            left = self._wrong(changed)
            if len(left) < len(wrong) or (typed and len(left) == len(wrong)):
                pairs = enumerate(zip(column, tried, strict=True))
                first = next(i for i, (a, b) in pairs if a is not b)
                self._notes.changed(self._places[first], f"the variable {name!r}", why)
                columns, wrong = changed, left
        return columns, wrong

    def _wrong(self, columns: Mapping[str, Column]) -> list[int]:
        return [index for index in range(len(self._sent)) if self._is_wrong(columns, index)]

    def _is_wrong(self, columns: Mapping[str, Column], index: int) -> bool:
        return _rendered(self._prompt, _row(columns, index)) != self._sent[index]


def _is_of_one_type(column: Column) -> bool:
    return bool(type_of([value for value in column if not isinstance(value, js.Undefined)]))


def _filled_with(fill: JsonValue) -> Callable[[Column], Column | None]:
    def form(column: Column) -> Column | None:
        absent = [value is None or isinstance(value, js.Undefined) for value in column]
        if not any(absent):
            return None
        return [fill if gone else v for gone, v in zip(absent, column, strict=True)]

    return form


def _left_out(column: Column) -> Column | None:
    return [js.UNDEFINED if value is None else value for value in column]


def _as_texts(column: Column) -> Column | None:
    if any(isinstance(value, dict) for value in column):
        return None
    return [v if isinstance(v, js.Undefined) else js.text(v) for v in column]


def _as_numbers(column: Column) -> Column | None:
    found: Column = []
    for value in column:
        number = js.number(js.as_number(value)) if isinstance(value, str) else None
        if number is not None and js.text(number) != value:
            return None
        found.append(value if number is None else number)
    return found


_FORMS: tuple[tuple[str, Callable[[Column], Column | None]], ...] = (
    ("is an empty text where a test does not say it, as Nunjucks renders it", _filled_with("")),
    ("is an empty list where a test does not say it, as Nunjucks loops over it", _filled_with([])),
    ("is left out where it is null, as Nunjucks renders it", _left_out),
    ("is a text everywhere, as Nunjucks renders it", _as_texts),
    ("is a number everywhere, as Nunjucks compares it", _as_numbers),
)


# --- The input contract ------------------------------------------------------------------------


def _contract(
    columns: Mapping[str, Column], prompt: ImportedPrompt, places: Sequence[Place], notes: Notes
) -> JsonObject:
    properties: JsonObject = {}
    required = []
    for name, column in columns.items():
        values = [value for value in column if not isinstance(value, js.Undefined)]
        shape = shape_of(values) if prompt.loops else type_of(values)
        properties[name] = shape if values else {"type": "string"}
        if len(values) == len(column):
            required.append(name)
        else:
            absent = next(i for i, value in enumerate(column) if isinstance(value, js.Undefined))
            why = "may be left out, as it is in some of the tests"
            notes.changed(places[absent], f"the variable {name!r}", why)
        for path, length in _bounded(properties[name], name) if prompt.loops else ():
            why = f"holds {length} elements at most, as the longest of the tests: a loop needs it"
            notes.changed(places[0], f"the list {path!r}", why)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def shape_of(values: Sequence[JsonValue]) -> JsonObject:
    """Return the JSON Schema of values, lists with a bound: for templates that loop over them."""
    shape = type_of(values)
    if shape.get("type") == "array":
        lists = [value for value in values if isinstance(value, list)]
        shape["maxItems"] = max(map(len, lists), default=0)
        if items := shape_of([item for value in lists for item in value]):
            shape["items"] = items
    if shape.get("type") == "object":
        objects = [value for value in values if isinstance(value, dict)]
        names = dict.fromkeys(name for value in objects for name in value)
        shape["properties"] = {
            name: shape_of([value[name] for value in objects if name in value]) for name in names
        }
    return shape


def _bounded(schema: JsonValue, path: str) -> Iterator[tuple[str, JsonValue]]:
    if not isinstance(schema, dict):
        return
    if "maxItems" in schema:
        yield path, schema["maxItems"]
    inner = schema.get("properties")
    for name, item in inner.items() if isinstance(inner, dict) else ():
        yield from _bounded(item, f"{path}.{name}")
    yield from _bounded(schema.get("items"), f"{path}[]")
