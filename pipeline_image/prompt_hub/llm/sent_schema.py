"""The form in which an output schema goes to a provider.

Under OpenAI's `strict`, every property has to be required, every object closed, and some words are
refused. Most schemas can be said that way and still mean the same: a property that may be left out
becomes one that may be null, and what is refused is told in the description. The rest goes along
with `strict: false`. The answer is always checked against the contract itself, in which the null of
a property that may be left out is its absence (`repository/nulls.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from pydantic import JsonValue
from pydantic_core import to_json

from prompt_hub.core.bounded import Bounded
from prompt_hub.llm.schema_support import (
    COMBINED,
    MOST_VALUES,
    SchemaSupport,
    Treatment,
    types_of,
    word_of,
)
from prompt_hub.repository.contracts import properties, required, subschemas
from prompt_hub.repository.nulls import takes_null
from prompt_hub.repository.schema import JsonObject

MOST_CHARACTERS = 120_000
"""Most characters that the names of properties and the values of `enum` may have together."""
_SILENT = frozenset({"$schema", "$comment", "deprecated", "readOnly", "writeOnly"})
"""Words for people that read the schema."""
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (type(None), "null"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SentSchema:
    """What a provider is given."""

    schema: JsonObject
    strict: bool
    """Whether the provider is asked to hold the answer to it."""
    reason: str = ""
    """Why it is not strict, in words."""

    @cached_property
    def response_format(self) -> bytes:
        """What chat completions are asked for, as JSON: thousands of requests send the same."""
        form = {"name": "output", "schema": self.schema, "strict": self.strict}
        return to_json({"type": "json_schema", "json_schema": form})


class CannotBeStrictError(ValueError):
    """A schema that a provider's strict mode refuses in every form that means the same."""


_KNOWN: Bounded[tuple[int, str], tuple[JsonObject, SentSchema]] = Bounded(1024)
"""Forms by the identity of their schema, which is kept so that it stays its own.

As many as a service holds prompts parsed (`release.carried.PARSED`).
"""


def sent_schema(schema: JsonObject, support: SchemaSupport) -> SentSchema:
    """Put a schema into the form that `support` says a provider takes."""
    known = _KNOWN.get((id(schema), support.name))
    if known is None:
        known = (schema, _sent(schema, support))
        _KNOWN.put((id(schema), support.name), known)
    return known[1]


def _sent(schema: JsonObject, support: SchemaSupport) -> SentSchema:
    try:
        restated = _Restating(schema, support).of(schema)
        if support.strict:
            _check_size(restated, support)
        return SentSchema(schema=restated, strict=support.strict)
    except CannotBeStrictError as error:
        return SentSchema(schema=without_booleans(schema), strict=False, reason=str(error))


def without_booleans(schema: JsonObject) -> JsonObject:
    """Write `true` as `{}` wherever a schema stands, since some decoders know only the latter."""
    written = cast(JsonObject, json.loads(json.dumps(schema)))
    for here, part in list(subschemas(written)):
        if part is True and here[-1] not in {"additionalProperties", "items"}:
            _put(written, here, {})
    return written


def _put(schema: JsonValue, location: tuple[str | int, ...], value: JsonValue) -> None:
    *way, last = location
    for step in way:
        schema = cast(dict[str | int, JsonValue], schema)[step]
    cast(dict[str | int, JsonValue], schema)[last] = value


@dataclass(frozen=True)
class _Restating:
    """Restates the parts of one schema for one provider."""

    schema: JsonObject
    support: SchemaSupport

    def of(self, part: JsonValue) -> JsonObject:
        """Restate a part; raises `CannotBeStrictError`."""
        if not isinstance(part, dict):
            raise CannotBeStrictError(f"a schema that is {json.dumps(part)}")
        part = self._typed(part)
        result: JsonObject = {}
        told: list[str] = []
        for keyword, value in part.items():
            match self._treatment(part, keyword):
                case Treatment.TOLD:
                    told.append(f"{keyword} {json.dumps(value, ensure_ascii=False)}")
                case Treatment.LOOSE:
                    raise CannotBeStrictError(f"the keyword {keyword!r}")
                case _:
                    if not self.support.strict:
                        result[keyword] = value
                    elif keyword not in _SILENT and not keyword.startswith("x-"):
                        result.update(self._keyword(part, keyword, value))
        if self.support.strict:
            result = self._closed(part, result)
        if told:
            words = f"Keep to this, too: {'; '.join(told)}."
            before = result.get("description")
            result["description"] = f"{before} {words}" if isinstance(before, str) else words
        return self._alone(result) if self.support.strict else result

    def _treatment(self, part: JsonObject, keyword: str) -> Treatment:
        if keyword == "format" and isinstance(name := part["format"], str):
            return self.support.of_format(name)
        return self.support.treatment(word_of(part, keyword, self.schema))

    def _typed(self, part: JsonObject) -> JsonObject:
        """Name the type of what only lists its values: strict wants one."""
        if "type" in part or not self.support.strict:
            return part
        values = part.get("enum", [part["const"]] if "const" in part else None)
        if isinstance(values, list):
            types = list(dict.fromkeys(map(_type_of, values)))
            return {"type": types[0] if len(types) == 1 else cast(list[JsonValue], types), **part}
        if not {"$ref", *COMBINED} & part.keys():
            raise CannotBeStrictError("a value of any type")
        return part

    def _keyword(
        self, part: JsonObject, keyword: str, value: JsonValue
    ) -> Iterator[tuple[str, JsonValue]]:
        """Yield a keyword as strict takes it."""
        if keyword == "properties":
            needed = required(part)
            yield (
                keyword,
                {
                    name: self.of(inner) if name in needed else self._nullable(inner)
                    for name, inner in properties(part).items()
                },
            )
        elif keyword == "$defs" and isinstance(value, dict):
            yield keyword, {name: self.of(inner) for name, inner in value.items()}
        elif keyword == "items":
            yield keyword, self.of(value)
        elif keyword in {"anyOf", "oneOf"} and isinstance(value, list):
            if {"anyOf", "oneOf"} <= part.keys():
                raise CannotBeStrictError("anyOf beside oneOf")
            # More than one may fit; that exactly one does is left to the check of the answer.
            yield "anyOf", [self.of(inner) for inner in value]
        elif keyword == "required":
            yield keyword, list(properties(part))
        else:
            yield keyword, value

    def _closed(self, part: JsonObject, result: JsonObject) -> JsonObject:
        if "object" not in types_of(part):
            return result
        declared = properties(part)
        if not declared and part.get("additionalProperties") is not False:
            raise CannotBeStrictError("an object of any properties")
        if not required(part) <= declared.keys():
            raise CannotBeStrictError("a required property that is not among the properties")
        return {**result, "required": list(declared), "additionalProperties": False}

    def _alone(self, result: JsonObject) -> JsonObject:
        """Put a reference into a list: strict lets nothing stand beside one."""
        if "$ref" not in result or len(result) == 1:
            return result
        if result.keys() - {"$ref", "title", "description"}:
            raise CannotBeStrictError("a $ref beside other keywords")
        rest = {name: value for name, value in result.items() if name != "$ref"}
        return {"anyOf": [{"$ref": result["$ref"]}], **rest}

    def _nullable(self, part: JsonValue) -> JsonObject:
        restated = self.of(part)
        if takes_null(part, self.schema):
            return restated
        named = restated.get("type")
        if "const" not in restated and "anyOf" not in restated and isinstance(named, str | list):
            types = named if isinstance(named, list) else [named]
            nullable: JsonObject = {**restated, "type": [*types, "null"]}
            if isinstance(values := restated.get("enum"), list):
                nullable["enum"] = values if None in values else [*values, None]
            return nullable
        null: JsonObject = {"type": "null"}
        if isinstance(choices := restated.get("anyOf"), list):
            return {**restated, "anyOf": [*choices, null]}
        return {"anyOf": [restated, null]}


def _type_of(value: JsonValue) -> str:
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    raise CannotBeStrictError("an object or array among the values of an enum")


def _check_size(schema: JsonObject, support: SchemaSupport) -> None:
    parts = [part for _, part in subschemas(schema) if isinstance(part, dict)]
    names = [name for part in parts for name in properties(part)]
    values = [value for part in parts for value in _values(part)]
    texts = [*names, *(value for value in values if isinstance(value, str))]
    levels = max(here.count("properties") for here, _ in subschemas(schema))
    if len(values) > MOST_VALUES:
        raise CannotBeStrictError(f"more than {MOST_VALUES} values in enums")
    if len(names) > support.properties:
        raise CannotBeStrictError(f"more than {support.properties} properties")
    if levels > support.levels:
        raise CannotBeStrictError(f"objects more than {support.levels} deep in one another")
    if sum(map(len, texts)) > MOST_CHARACTERS:
        raise CannotBeStrictError(f"more than {MOST_CHARACTERS} characters in names and values")


def _values(part: JsonObject) -> list[JsonValue]:
    values = part.get("enum")
    return values if isinstance(values, list) else []
