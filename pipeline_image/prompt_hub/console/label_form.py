"""The output contract as a form: what a label can be, and what a person made of it.

Fields go by their places, never by their names, which are the author's. What no form can show, or
would change by showing it, is edited as JSON. What comes back is held against the whole contract.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from pydantic import JsonValue

from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.contracts import properties, required, resolve
from prompt_hub.repository.input_check import field_problems
from prompt_hub.repository.nulls import takes_null
from prompt_hub.repository.schema import JsonObject

Kind = Literal["choice", "many", "text", "lines", "number", "json"]
Given = Mapping[str, Sequence[str]]
"""What a form holds: values by the names of its inputs."""
JSON = "json"
"""The input that holds a whole label as JSON."""
MOST_CHOICES = 100
_GRADES = 20
"""A whole number of so few values is a choice."""
_LINE = 120
"""Characters that fit a line; a text that may be longer gets several."""
VALUE, _NULL, _LEFT_OUT = "value", "null", "left out"
"""What an input says of a field that may be something else than a value."""


class UnreadableError(ValueError):
    """What stands in a field is no value."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One property of the output, as a person sees it."""

    at: str
    """What its input is called."""
    name: str
    """The property."""
    kind: Kind
    choices: tuple[JsonValue, ...] = ()
    several_lines: bool = False
    states: tuple[str, ...] = ()
    """What it may be instead of a value."""
    words: str = ""
    """The contract's description of it."""

    def digit(self, place: int) -> str:
        """Return the key that chooses: a grade's own digit, of other choices their number."""
        grades = [each for each in self.choices if type(each) is int and 0 <= each <= 9]
        if len(grades) == len(self.choices):
            return str(self.choices[place])
        return str(place + 1) if place < 9 else ""

    @property
    def state_at(self) -> str:
        """What the input is called that says whether there is a value."""
        return self.at if self.kind == "choice" else f"{self.at}.is"

    def left_out(self, given: Given) -> bool:
        """Whether the property was left out."""
        return _LEFT_OUT in self.states and _one(given, self.state_at) == _LEFT_OUT

    def value(self, given: Given) -> JsonValue:
        """Return what was filled in; raises `UnreadableError`."""
        state = _one(given, self.state_at)
        if state in self.states:
            if self.kind != "choice" and any(given.get(self.at, ())):
                raise UnreadableError(f"has a value and is {state}: which of the two?")
            return None
        match self.kind:
            case "choice":
                return self._choice(state)
            case "many":
                return [self._choice(place) for place in given.get(self.at, ())]
        # Browsers end the lines of a form with two characters.
        text = _one(given, self.at).replace("\r\n", "\n")
        match self.kind:
            case "lines":
                return [line for line in text.split("\n") if line]
            case "number" | "json":
                return self._read(text)
            case _:
                return text

    def _choice(self, place: str) -> JsonValue:
        known = dict(zip(map(str, range(len(self.choices))), self.choices, strict=True))
        if place not in known:
            raise UnreadableError("is not chosen")
        return known[place]

    def _read(self, text: str) -> JsonValue:
        value = _parsed(text)
        if self.kind == "number" and (
            isinstance(value, bool) or not isinstance(value, int | float)
        ):
            raise UnreadableError("is no number")
        return value

    def filled(self, value: JsonValue) -> Iterator[tuple[str, list[str]]]:
        """Yield the inputs that say a value, as far as this field can say it."""
        if value is None and _NULL in self.states:
            yield self.state_at, [_NULL]
            return
        if self.states and self.kind != "choice":
            yield self.state_at, [VALUE]
        match self.kind:
            case "choice":
                yield self.at, self._places([value])
            case "many":
                yield self.at, self._places(value if isinstance(value, list) else [])
            case "lines":
                yield self.at, ["\n".join(map(str, value if isinstance(value, list) else []))]
            case "number" | "json":
                yield self.at, [json.dumps(value, ensure_ascii=False)]
            case _:
                yield self.at, [str(value)]

    def is_changed_by_browsers(self, given: Given) -> bool:
        """Whether another text would come back than was shown."""
        text = _one(given, self.at)
        return "\r" in text or ("\n" in text and self.kind == "text" and not self.several_lines)

    def _places(self, values: Sequence[JsonValue]) -> list[str]:
        known = {canonical(choice): str(place) for place, choice in enumerate(self.choices)}
        return [known[mark] for value in values if (mark := canonical(value)) in known]


class LabelForm:
    """The form of one contract."""

    def __init__(self, schema: JsonObject) -> None:
        self.schema = schema
        self.digest = sha256_of(schema)
        """Which contract it is: the places of its fields are those of no other."""
        must = required(schema)
        self.fields = tuple(
            _field(f"f{place}", name, part, schema, optional=name not in must)
            for place, (name, part) in enumerate(properties(schema).items())
        )

    def filled(self, value: JsonObject | None, *, as_json: bool = False) -> dict[str, list[str]]:
        """Return the form with a label in it: field by field, or where that cannot be as JSON."""
        if not self.fields or as_json:
            text = "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)
            return {JSON: [text]}
        given: dict[str, list[str]] = {}
        for field in self.fields:
            if value is not None and field.name in value:
                given.update(field.filled(value[field.name]))
            elif _LEFT_OUT in field.states:
                given[field.state_at] = [_LEFT_OUT]
        if value is None:
            return given
        changed = any(field.is_changed_by_browsers(given) for field in self.fields)
        if not changed and canonical(self.label(given)[0]) == canonical(value):
            return given
        return self.filled(value, as_json=True)

    def label(self, given: Given) -> tuple[JsonObject, list[dict[str, str]]]:
        """Return the label that a form says, and what is wrong with it: `{field, problem}`."""
        value: JsonObject = {}
        problems = []
        if JSON in given:
            try:
                whole = _parsed(_one(given, JSON))
            except UnreadableError as error:
                return {}, [{"field": "", "problem": str(error)}]
            if not isinstance(whole, dict):
                return {}, [{"field": "", "problem": "is no JSON object"}]
            value = whole
        else:
            for field in self.fields:
                if field.left_out(given):
                    continue
                try:
                    value[field.name] = field.value(given)
                except UnreadableError as error:
                    problems.append({"field": field.name, "problem": str(error)})
        return value, problems or field_problems(value, self.schema)


def _field(at: str, name: str, part: JsonValue, root: JsonObject, *, optional: bool) -> Field:
    part = resolve(part, root)
    schema: JsonObject = part if isinstance(part, dict) else {}
    nullable = bool(schema) and takes_null(schema, root)
    kind, choices = _kind(schema)
    states = ((_NULL,) if nullable else ()) + ((_LEFT_OUT,) if optional else ())
    longest = schema.get("maxLength")
    return Field(
        at=at,
        name=name,
        kind=kind,
        choices=choices,
        several_lines=not (isinstance(longest, int) and longest <= _LINE),
        states=states,
        words=str(schema.get("description", "")),
    )


def _kind(schema: JsonObject) -> tuple[Kind, tuple[JsonValue, ...]]:
    """Return how a property is shown, and what can be chosen."""
    types = schema.get("type")
    kinds = [each for each in (types if isinstance(types, list) else [types]) if each != "null"]
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and len(values) <= MOST_CHOICES:
        return "choice", tuple(value for value in values if value is not None)
    match kinds:
        case ["boolean"]:
            return "choice", (True, False)
        case ["integer"]:
            low, high = schema.get("minimum"), schema.get("maximum")
            if isinstance(low, int) and isinstance(high, int) and 0 <= high - low < _GRADES:
                return "choice", tuple(range(low, high + 1))
            return "number", ()
        case ["number"]:
            return "number", ()
        case ["string"]:
            return "text", ()
        case ["array"]:
            items = schema.get("items")
            if isinstance(items, dict) and items.get("type") == "string":
                members = items.get("enum")
                if isinstance(members, list) and len(members) <= MOST_CHOICES:
                    return "many", tuple(members)
                if members is None:
                    return "lines", ()
    return "json", ()


def _parsed(text: str) -> JsonValue:
    try:
        return cast("JsonValue", strict_json(text))
    except ValueError as error:
        raise UnreadableError(f"is no JSON: {error}") from None


def _one(given: Given, name: str) -> str:
    return next(iter(given.get(name, ())), "")
