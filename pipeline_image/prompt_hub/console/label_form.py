"""The output contract as a form: what a label can be, and what a person made of it.

Fields go by their places, never by their names, which are the author's. What no form can show, or
would change by showing it, is edited as JSON. What comes back is held against the whole contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.contracts import properties, required, resolve
from prompt_hub.repository.input_check import field_problems
from prompt_hub.repository.nulls import takes_null
from prompt_hub.repository.schema import JsonObject

Kind = Literal["choice", "many", "line", "text", "lines", "number", "json"]
Given = Mapping[str, Sequence[str]]
"""What a form holds: values by the names of its inputs."""
JSON = "json"
"""The input that holds a whole label as JSON."""
_MOST_CHOICES = 100
_GRADES = 20
"""A whole number of so few values is a choice."""
_LINE = 120
"""Characters that fit a line; a text that may be longer gets several."""
_VALUE, _NULL, _LEFT_OUT = "value", "null", "left out"
"""What an input says of a field that may be something else than a value."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One property of the output, as a person sees it."""

    at: str
    """What its input is called."""
    name: str
    """The property."""
    kind: Kind
    choices: tuple[JsonValue, ...]
    states: tuple[str, ...]
    """What it may be instead of a value."""
    words: str
    """The contract's description of it."""

    def digit(self, place: int) -> str:
        """Return the key that chooses: a grade's own digit, of other choices their number."""
        if all(type(each) is int and 0 <= each <= 9 for each in self.choices):
            return str(self.choices[place])
        return str(place + 1) if place < 9 else ""

    @property
    def state_at(self) -> str:
        """What the input is called that says whether there is a value."""
        return self.at if self.kind == "choice" else f"{self.at}.is"

    def state(self, given: Given) -> str:
        """Return what it is instead of a value; nothing where it has one."""
        said = first(given, self.state_at)
        return said if said in self.states else ""

    def value(self, given: Given) -> JsonValue:
        """Return what was filled in, None for none; raises `ValueError`."""
        if state := self.state(given):
            if self.kind != "choice" and any(given.get(self.at, ())):
                raise ValueError(f"has a value and is {state}: which of the two?")
            return None
        # Browsers end the lines of a form with two characters.
        text = first(given, self.at).replace("\r\n", "\n")
        match self.kind:
            case "choice":
                return self._choice(text)
            case "many":
                return [self._choice(place) for place in given.get(self.at, ())]
            case "lines":
                return [line for line in text.split("\n") if line]
            case "number" | "json":
                return read_json(text)
            case _:
                return text

    def _choice(self, place: str) -> JsonValue:
        known = dict(zip(map(str, range(len(self.choices))), self.choices, strict=True))
        if place not in known:
            raise ValueError("is not chosen")
        return known[place]

    def filled(self, value: JsonValue) -> dict[str, list[str]]:
        """Return the inputs that say a value, as a browser holds them: not each can be said."""
        if value is None and _NULL in self.states:
            return {self.state_at: [_NULL]}
        state = {self.state_at: [_VALUE]} if self.states and self.kind != "choice" else {}
        values = value if isinstance(value, list) else [value]
        match self.kind:
            case "choice" | "many":
                marks = {canonical(each) for each in (values if self.kind == "many" else [value])}
                chosen = [canonical(choice) in marks for choice in self.choices]
                return state | {self.at: [str(n) for n, is_in in enumerate(chosen) if is_in]}
            case "number" | "json":
                text = json.dumps(value, ensure_ascii=False)
            case "lines":
                text = "\n".join(map(str, values))
            case _:
                text = str(value)
        text = re.sub("\r\n?", "\n", text)
        return state | {self.at: [text.replace("\n", "") if self.kind == "line" else text]}


class LabelForm:
    """The form of one contract."""

    def __init__(self, schema: JsonObject) -> None:
        self.schema = schema
        self.digest = sha256_of([schema, [*properties(schema)]])
        """Which contract it is: the places of its fields are those of no other."""
        must = required(schema)
        self.fields = tuple(
            _field(f"f{place}", name, part, schema, optional=name not in must)
            for place, (name, part) in enumerate(properties(schema).items())
        )

    def filled(self, value: JsonObject | None, *, as_json: bool = False) -> dict[str, list[str]]:
        """Return the form with a label in it: field by field, or where that cannot be as JSON."""
        given: dict[str, list[str]] = {}
        for field in self.fields:
            if value is not None and field.name in value:
                given |= field.filled(value[field.name])
            elif _LEFT_OUT in field.states:
                given[field.state_at] = [_LEFT_OUT]
        fits = value is None or canonical(self.label(given)[0]) == canonical(value)
        if self.fields and fits and not as_json:
            return given
        return {JSON: ["" if value is None else json.dumps(value, ensure_ascii=False, indent=2)]}

    def label(self, given: Given) -> tuple[JsonObject, list[dict[str, str]]]:
        """Return the label that a form says, and what is wrong with it: `{field, problem}`."""
        label: JsonObject = {}
        wrong: dict[str, str] = {}
        if JSON in given:
            try:
                whole = read_json(first(given, JSON))
            except ValueError as error:
                return {}, [{"field": "", "problem": str(error)}]
            if not isinstance(whole, dict):
                return {}, [{"field": "", "problem": "is no JSON object"}]
            label = whole
        for field in () if JSON in given else self.fields:
            try:
                value = field.value(given)
            except ValueError as error:
                wrong[field.name] = str(error)
            else:
                if field.state(given) != _LEFT_OUT:
                    label[field.name] = value
        found = [{"field": name, "problem": problem} for name, problem in wrong.items()]
        more = field_problems(label, self.schema)
        return label, found + [each for each in more if each["field"] not in wrong]


def _field(at: str, name: str, part: JsonValue, root: JsonObject, *, optional: bool) -> Field:
    part = resolve(part, root)
    schema: JsonObject = part if isinstance(part, dict) else {}
    nullable = bool(schema) and takes_null(schema, root)
    kind, choices = _kind(schema)
    return Field(
        at=at,
        name=name,
        kind=kind,
        choices=choices,
        states=((_NULL,) if nullable else ()) + ((_LEFT_OUT,) if optional else ()),
        words=str(schema.get("description", "")),
    )


def _kind(schema: JsonObject) -> tuple[Kind, tuple[JsonValue, ...]]:
    """Return how a property is shown, and what can be chosen."""
    types = schema.get("type")
    kinds = [each for each in (types if isinstance(types, list) else [types]) if each != "null"]
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and len(values) <= _MOST_CHOICES:
        return "choice", tuple(value for value in values if value is not None)
    low, high, longest = (schema.get(word) for word in ("minimum", "maximum", "maxLength"))
    match kinds:
        case ["boolean"]:
            return "choice", (True, False)
        case ["integer"] if isinstance(low, int) and isinstance(high, int):
            is_grade = 0 <= high - low < _GRADES
            return ("choice", tuple(range(low, high + 1))) if is_grade else ("number", ())
        case ["integer" | "number"]:
            return "number", ()
        case ["string"]:
            return "line" if isinstance(longest, int) and longest <= _LINE else "text", ()
        case ["array"]:
            items = schema.get("items")
            if isinstance(items, dict) and items.get("type") == "string":
                kind, members = _kind(items)
                return ("many", members) if kind == "choice" else ("lines", ())
    return "json", ()


def read_json(text: str) -> JsonValue:
    """Return the value that a text is in JSON; raises `ValueError`."""
    try:
        value: JsonValue = strict_json(text)  # type: ignore[assignment]
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None
    return value


def first(given: Given, name: str) -> str:
    """Return the first value of an input; nothing where there is none."""
    return next(iter(given.get(name, ())), "")
