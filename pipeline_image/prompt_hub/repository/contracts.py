"""Whether values keep a JSON Schema: the contracts of a prompt's input and output.

`jsonschema_rs` is imported only when there is work for it. Patterns run on an engine whose time is
linear in the text, so that no schema can be made to hang on a field from outside; references are
never fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import JsonValue

from prompt_hub.core.bounded import Bounded
from prompt_hub.core.hashing import canonical
from prompt_hub.core.json_strict import MAX_DEPTH
from prompt_hub.repository.contract_words import expected_of, given_words, reason_first
from prompt_hub.repository.documents import closest
from prompt_hub.repository.formats import NOT_ASSERTED
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.large_enums import LARGE, LargeEnum
from prompt_hub.repository.patterns import pattern_fault
from prompt_hub.repository.schema import JsonObject

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

METASCHEMA = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class SchemaViolation:
    """One way in which a value breaks a schema.

    `keyword` is the schema's word for it and `value` what the schema says there. Of `anyOf` and
    `oneOf` these are the types that they allow, where a value has none of those, else nothing. The
    words of a large enumeration (`large_enums.py`) and what other rules hold may quote the value.
    `names` are the properties that are missing, or that there may not be.
    """

    location: Location
    message: str
    keyword: str
    value: object
    names: tuple[str, ...] = ()


class UnusableSchemaError(ValueError):
    """A schema that nothing can be held against: broken, or referring to something not there."""


def load() -> None:
    """Import now what the first contract would: for a process whose callers wait for it."""
    import jsonschema_rs  # noqa: F401


def violations(value: object, schema: JsonObject) -> Iterator[SchemaViolation]:
    """Every way in which `value` breaks `schema`; nothing fits a schema that is unusable."""
    try:
        validator = _validator_of(schema)
    except UnusableSchemaError as error:
        yield SchemaViolation((), f"the schema cannot be used: {error}", "", None)
        return
    yield from _violations(value, validator)


def fits(value: object, schema: JsonObject) -> bool:
    """Whether `value` keeps `schema`: most do, and this says it sooner than `violations`."""
    try:
        return _validator_of(schema).is_valid(value)
    except UnusableSchemaError:
        return False


class Contract:
    """A schema that many values are held against, its validator at hand as long as it is."""

    def __init__(self, schema: JsonObject) -> None:
        """Keep the schema; raises `UnusableSchemaError` for one that nothing can be held to."""
        self._validator = _validator(canonical(schema))

    def fits(self, value: object) -> bool:
        """Whether `value` keeps the schema: most do, and this says it sooner than `violations`."""
        return self._validator.is_valid(value)

    def violations(self, value: object) -> Iterator[SchemaViolation]:
        """Every way in which `value` breaks the schema."""
        return _violations(value, self._validator)


def _violations(value: object, validator: Draft202012Validator) -> Iterator[SchemaViolation]:
    for validation_error in validator.iter_errors(value):
        location = tuple(validation_error.instance_path)
        yield SchemaViolation(
            location,
            reason_first(validation_error),
            validation_error.kind.name,
            _value(validation_error),
            _names(validation_error.kind),
        )


def _value(error: ValidationError) -> object:
    choices: list[list[ValidationError]] | None = getattr(error.kind, "context", None)
    if choices is None:
        return error.kind.value
    types: list[list[str]] = [
        next((one.kind.value for one in choice if _is_of_another_type(one, error)), [])
        for choice in choices
    ]
    return list(dict.fromkeys(chain.from_iterable(types))) if all(types) else []


def _is_of_another_type(one: ValidationError, error: ValidationError) -> bool:
    return one.kind.name == "type" and one.instance_path == error.instance_path


def _names(kind: ValidationErrorKind) -> tuple[str, ...]:
    """Return the properties that an error names."""
    missing = getattr(kind, "property", None)
    return (missing,) if isinstance(missing, str) else tuple(map(str, _unexpected(kind)))


def _unexpected(kind: ValidationErrorKind) -> list[str]:
    found: list[str] = getattr(kind, "unexpected", [])
    return found


def worst_violation(value: object, schema: JsonObject) -> SchemaViolation | None:
    """Return the violation nearest to the root, which says best what is wrong; None if it fits."""
    if fits(value, schema):
        return None
    return min(violations(value, schema), key=lambda found: len(found.location), default=None)


_KNOWN: Bounded[int, tuple[JsonObject, Draft202012Validator]] = Bounded(2048)
"""Validators by the identity of their schema, which is kept so that it stays its own.

Both contracts of as many prompts as a service holds parsed (`release.carried.PARSED`): 5 KB each.
"""


def schema_problem(value: JsonValue, schema: JsonObject) -> str | None:
    """In words, the first way in which `value` breaks `schema`; None when it fits."""
    violation = worst_violation(value, schema)
    if violation is None:
        return None
    where = ".".join(map(str, violation.location))
    return f"{where}: {violation.message}" if where else violation.message


def _validator_of(schema: JsonObject) -> Draft202012Validator:
    # Thousands of values are held against one schema; even hashing it each time would show.
    known = _KNOWN.get(id(schema))
    if known is None:
        known = (schema, _validator(canonical(schema)))
        _KNOWN.put(id(schema), known)
    return known[1]


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Draft202012Validator:
    import jsonschema_rs

    parsed = json.loads(schema)
    large = any(
        name == "enum" and isinstance(members, list) and len(members) >= LARGE
        for _, name, members in keywords_in(parsed)
    )
    try:
        return jsonschema_rs.Draft202012Validator(
            parsed,
            pattern_options=jsonschema_rs.RegexOptions(),
            validate_formats=True,
            formats=dict.fromkeys(NOT_ASSERTED, _anything),
            keywords={"enum": LargeEnum} if large else None,
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise UnusableSchemaError(reason_first(error)) from None
    except jsonschema_rs.ReferencingError as error:
        raise UnusableSchemaError(str(error)) from None


def _anything(text: str) -> bool:
    """Accept any text."""
    return True


# --- Schemas themselves ------------------------------------------------------------------------


@dataclass(frozen=True)
class SchemaProblem:
    """Something that keeps a schema from meaning what its author meant."""

    location: Location
    found: str
    expected: str
    rule: str = "schema"
    suggestion: str = ""


def properties(schema: Mapping[str, JsonValue]) -> JsonObject:
    """Return the declared properties of an object schema, by name."""
    declared = schema.get("properties")
    return declared if isinstance(declared, dict) else {}


def is_closed(schema: JsonObject) -> bool:
    """Whether an object has no other properties than those that its schema names."""
    return schema.get("additionalProperties") is False and "patternProperties" not in schema


def required(schema: JsonObject) -> frozenset[str]:
    """Names of the properties that must be given."""
    names = schema.get("required")
    return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()


def resolve(schema: JsonValue, root: JsonValue) -> JsonValue:
    """Return `schema` with references into `root` followed.

    None if they lead nowhere or never end.
    """
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            return schema
        schema = referred(reference, root)
    return None


def referred(reference: str, root: JsonValue) -> JsonValue:
    """Return what a reference such as `#/$defs/size` points to in `root`, None for nothing."""
    mark, *steps = reference.split("/")
    if mark != "#":
        return None
    return at(root, [unquote(step).replace("~1", "/").replace("~0", "~") for step in steps])


_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def at(value: JsonValue, location: Iterable[str | int]) -> JsonValue:
    """Return the value at `location` inside `value`, None where there is nothing."""
    for step in location:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and _INDEX.fullmatch(str(step)) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def schema_problems(schema: JsonObject) -> tuple[SchemaProblem, ...]:
    """Everything that keeps `schema` from being the contract of an object."""
    return _schema_problems(canonical(schema))


@lru_cache(maxsize=256)
def _schema_problems(text: bytes) -> tuple[SchemaProblem, ...]:
    # Several rules ask about the same schema.
    return tuple(_find_problems(json.loads(text), text))


def _find_problems(schema: JsonObject, text: bytes) -> Iterator[SchemaProblem]:
    broken = False
    for error in violations(schema, {"$ref": METASCHEMA}):
        broken = True
        types = error.location[-1:] == ("type",) and error.keyword == "anyOf"
        expected = f"one of: {', '.join(_TYPES)}" if types else "a valid JSON Schema"
        given = at(schema, error.location)
        if types and None in (given if isinstance(given, list) else [given]):
            expected = "'null' in quotes, which is the name of a type"
        wanted = "" if types else expected_of(error.keyword, error.value)
        meant = closest(given, _TYPES) if types and isinstance(given, str) else ""
        found = given_words(given) if types or wanted else error.message
        yield SchemaProblem(error.location, found, wanted or expected, suggestion=meant)
    if broken:
        return
    if schema.get("type") != "object":
        yield SchemaProblem(("type",), repr(schema.get("type")), "'object'")
    problems = list(_unusable(schema))
    yield from problems
    if not any(problem.rule == "schema" for problem in problems):
        try:
            _validator(text)
        except UnusableSchemaError as error:
            yield SchemaProblem((), str(error), "a usable JSON Schema")


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_SCHEMAS_BY_NAME = ("$defs", "dependentSchemas", "patternProperties", "properties")
_SCHEMAS_IN_A_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE_SCHEMA = (
    "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_OTHER_KEYWORDS = (
    "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema",
    "$vocabulary", "const", "contentEncoding", "contentMediaType", "default", "dependentRequired",
    "deprecated", "description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum",
    "format", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains",
    "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "readOnly",
    "required", "title", "type", "uniqueItems", "writeOnly",
)  # fmt: skip
KEYWORDS = frozenset((*_SCHEMAS_BY_NAME, *_SCHEMAS_IN_A_LIST, *_ONE_SCHEMA, *_OTHER_KEYWORDS))
"""The words of JSON Schema 2020-12; a validator skips every other, misspelt ones included."""


_NAMING = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$id")
"""Words that name a place or change what a reference begins at."""


def relocate(schema: JsonObject, pointer: str) -> JsonObject | None:
    """Copy a schema so that it may stand at `pointer` (`#/...`) of a larger document.

    Its references into itself begin at `pointer`. None for a schema that refers by name, whose
    references cannot be moved this way.
    """
    for _, name, value in keywords_in(schema):
        if name in _NAMING or (name == "$ref" and not _refers_by_path(value)):
            return None
    moved = deepcopy(schema)
    for _, part in subschemas(moved):
        if isinstance(part, dict) and isinstance(reference := part.get("$ref"), str):
            part["$ref"] = pointer + reference[1:]
    # Only a document's own root may say which dialect it is written in.
    return {key: value for key, value in moved.items() if key != "$schema"}


def _refers_by_path(reference: JsonValue) -> bool:
    return reference == "#" or (isinstance(reference, str) and reference.startswith("#/"))


def subschemas(
    schema: JsonValue, here: Location = ()
) -> Iterator[tuple[Location, JsonObject | bool]]:
    """Yield a schema and every schema inside it, each with where it is."""
    if isinstance(schema, bool):
        yield here, schema
    if not isinstance(schema, dict):
        return
    yield here, schema
    for name, value in schema.items():
        if name in _ONE_SCHEMA:
            yield from subschemas(value, (*here, name))
        elif name in _SCHEMAS_BY_NAME and isinstance(value, dict):
            for key, inner in value.items():
                yield from subschemas(inner, (*here, name, key))
        elif name in _SCHEMAS_IN_A_LIST and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from subschemas(inner, (*here, name, index))


def keywords_in(schema: JsonValue) -> Iterator[tuple[Location, str, JsonValue]]:
    """Yield every keyword of a schema and of those inside it: where it is, its name, its value."""
    for here, part in subschemas(schema):
        for name, value in part.items() if isinstance(part, dict) else ():
            yield (*here, name), name, value


def _unusable(schema: JsonValue) -> Iterator[SchemaProblem]:
    for here, name, _ in keywords_in(schema):
        if name not in KEYWORDS and not name.startswith("x-"):
            found = f"the keyword {name!r}, which JSON Schema does not have"
            meant = closest(name, KEYWORDS)
            yield SchemaProblem(here, found, "one that it has", "schema-keyword", meant)
    declared = _declared_for(schema)
    for here, part in subschemas(schema):
        if isinstance(part, dict):
            yield from _unusable_words(part, here, declared[here])


_BRANCH = ("else", "if", "not", "then")
_BRANCHES = ("allOf", "anyOf", "dependentSchemas", "oneOf")
"""Words whose schemas hold for the same value as the schema that they stand in."""


def _declared_for(schema: JsonValue) -> dict[Location, JsonObject]:
    """Return the properties that are declared for the value of each schema inside one.

    Schemas that hold for one value share them: a branch may require what is declared around it.
    """
    declared: dict[Location, JsonObject] = {}
    for here, part in subschemas(schema):
        # A property may be named like a branch: what it stands in is no schema.
        shared = (declared[place] for place in _around(here) if place in declared)
        declared[here] = next(shared, {})
        for each in (part, resolve(part, schema)):
            declared[here].update(properties(each) if isinstance(each, dict) else {})
    return declared


def _around(here: Location) -> Iterator[Location]:
    if here[-1:] and here[-1] in _BRANCH:
        yield here[:-1]
    if here[-2:-1] and here[-2] in _BRANCHES:
        yield here[:-2]


def _unusable_words(
    schema: JsonObject, here: Location, declared: JsonObject
) -> Iterator[SchemaProblem]:
    reference, pattern = schema.get("$ref"), schema.get("pattern")
    # A reference elsewhere would be fetched: validation must not depend on a network.
    if isinstance(reference, str) and not reference.startswith("#"):
        expected = "a reference inside this schema ('#/...')"
        yield SchemaProblem((*here, "$ref"), repr(reference), expected)
    for at, text in _patterns(here, schema, pattern):
        if problem := _pattern_problem(text):
            yield SchemaProblem(at, f"{text!r}: {problem}", "a regular expression")
    names = schema.get("required")
    for index, name in enumerate(names if properties(schema) and isinstance(names, list) else ()):
        if isinstance(name, str) and name not in declared:
            found = f"{name!r}, which is not among the properties"
            expected = f"one of: {', '.join(declared)}"
            meant = closest(name, declared)
            yield SchemaProblem((*here, "required", index), found, expected, suggestion=meant)


def _patterns(
    here: Location, schema: JsonObject, pattern: JsonValue
) -> Iterator[tuple[Location, str]]:
    if isinstance(pattern, str):
        yield (*here, "pattern"), pattern
    by_pattern = schema.get("patternProperties")
    for key in by_pattern if isinstance(by_pattern, dict) else ():
        yield (*here, "patternProperties", key), key


def _pattern_problem(pattern: str) -> str:
    try:
        _validator(canonical({"pattern": pattern}))
    except UnusableSchemaError:
        return pattern_fault(pattern)
    return ""
