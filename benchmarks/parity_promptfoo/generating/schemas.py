"""JSON Schemas of draft 7 as configurations have them, each with values that it tells apart."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

JsonDict = dict[str, object]


@dataclass(frozen=True)
class Schema:
    """A schema, and objects about which validators could disagree."""

    schema: JsonDict
    doubtful: tuple[JsonDict, ...] = ()


def _of(properties: JsonDict, *required: str, **more: object) -> JsonDict:
    return {"type": "object", "required": [*required], "properties": properties, **more}


_TEXT: JsonDict = {"type": "string"}
_PLAIN = _of({"class": _TEXT, "pins": {"type": "integer"}}, "class")


def _field(name: str, schema: JsonDict, *values: object) -> Schema:
    """Return a schema whose one unusual field has these values, right ones and wrong ones."""
    doubtful: tuple[JsonDict, ...] = tuple({"class": "diode", name: value} for value in values)
    return Schema(_of({"class": _TEXT, name: schema}, "class"), doubtful)


def _pattern(pattern: str, *values: str) -> Schema:
    return _field("code", {"type": "string", "pattern": pattern}, *values)


def _format(name: str, *values: str) -> Schema:
    return _field("made", {"type": "string", "format": name}, *values)


SCHEMAS = (
    Schema(_PLAIN, ({"class": "IC", "pins": 2.0}, {"class": "IC", "pins": True}, {"pins": 2})),
    Schema(
        {**_PLAIN, "additionalProperties": False},
        ({"class": "IC", "reason": "so"}, {"class": "IC", "": 1}),
    ),
    Schema(
        {
            **_of({"class": {"$ref": "#/definitions/kind"}, "pins": {"type": "number"}}, "class"),
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"kind": {"type": "string", "minLength": 3}},
        },
        ({"class": "IC"}, {"class": "diode", "pins": "2"}),
    ),
    Schema(
        {
            **_of({"class": {"$ref": "#/$defs/kind"}}, "class"),
            "$defs": {"kind": {"enum": ["resistor", "diode", "IC"]}},
        },
        ({"class": "IC"}, {"class": "capacitor"}),
    ),
    Schema(
        {
            **_of({"class": {"const": "resistor"}, "pins": {"type": "integer"}}, "class"),
            "if": {"required": ["pins"]},
            "then": {"properties": {"pins": {"maximum": 4}}},
        },
        ({"class": "resistor", "pins": 8}, {"class": "resistor", "pins": 2}),
    ),
    Schema(
        {**_PLAIN, "dependencies": {"mail": ["pins"]}},
        ({"class": "IC", "mail": "a"}, {"class": "IC", "mail": "a", "pins": 1}),
    ),
    Schema(
        {**_PLAIN, "propertyNames": {"pattern": "^[a-z]+$"}},
        ({"class": "IC", "A": 1}, {"class": "IC", "b": 1}),
    ),
    Schema(
        {**_PLAIN, "patternProperties": {"^x": {"type": "integer"}}},
        ({"class": "IC", "x1": "a"}, {"class": "IC", "x1": 1}),
    ),
    Schema(
        {**_PLAIN, "oneOf": [{"required": ["pins"]}, {"required": ["note"]}]},
        ({"class": "IC"}, {"class": "IC", "pins": 1}, {"class": "IC", "pins": 1, "note": "x"}),
    ),
    Schema({**_PLAIN, "minProperties": 2}, ({"class": "IC"}, {"class": "IC", "pins": 1})),
    Schema({"type": "object"}, ({}, {"class": "IC"})),
    Schema(
        {"properties": {"class": _TEXT}, "required": ["class"]}, ({"class": 5}, {"class": "IC"})
    ),
    Schema(
        {
            "type": ["object", "null"],
            "properties": {"class": {"type": "string", "title": "Class", "description": "of it"}},
        },
        ({"class": None}, {"class": "IC"}),
    ),
    _field("pins", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, 2, "2", 2.5, None),
    _field("pins", {"type": ["integer", "null"], "minimum": 1}, 0, 1, None, 1.0),
    _field("pins", {"type": "number", "multipleOf": 0.1}, 0.3, 0.7, 1.1, 0.25),
    _field("pins", {"type": "number", "multipleOf": 0.01}, 19.99, 4.35, 0.07, 1),
    _field("pins", {"type": "number", "exclusiveMinimum": 0, "maximum": 8}, 0, 8, 8.5),
    _field("pins", {"type": "integer"}, 2.0, 1e3, 9007199254740993, "2", True),
    _field("pins", {"enum": [1, "2", None, True]}, 1, 1.0, "2", None, True),
    _field("pins", {"const": 2}, 2, 2.0, "2"),
    _field("tags", {"type": "array", "items": _TEXT, "uniqueItems": True}, ["a", "b"], ["a", "a"]),
    _field("tags", {"type": "array", "uniqueItems": True}, [1, True], [1, 1.0], [0, False]),
    _field("tags", {"type": "array", "contains": {"const": "a"}}, ["a"], ["b"], []),
    _field("tags", {"type": "array", "items": [_TEXT, {"type": "integer"}],
                    "additionalItems": False}, ["a", 1], ["a", "b"], ["a", 1, 2], []),
    _field("tags", {"type": "array", "minItems": 1, "maxItems": 2}, [], ["a"], ["a", "b", "c"]),
    _field("code", {"type": "string", "minLength": 2, "maxLength": 3}, "a", "ab", "µΩµ", "abcd"),
    _field("code", {"not": {"enum": ["x"]}}, "x", "y"),
    _field("code", {"allOf": [_TEXT, {"pattern": "^B"}]}, "BC547", "C547"),
    _pattern("^[a-z]+$", "abc", "abc\n", "ab1", "ab\u00e9"),
    _pattern("^\\d{3}$", "123", "12", "\u0663\u0664\u0665"),
    _pattern("^\\w+$", "abc", "stra\u00dfe", "a b"),
    _pattern("^\\p{L}+$", "\u03a9\u00b5", "a1"),
    _pattern("^\\S+$", "a\u00a0b", "ab", "a b", "a\ufeffb"),
    _pattern("\\bBC\\d", "BC547", "xBC5", "\u00e9BC5"),
    _pattern("^(?!x)", "xa", "ab"),
    _pattern("^(a)\\1$", "aa", "ab"),
    _pattern("^[A-Z]{2}\\-\\d$", "AB-1", "AB1"),
    _pattern("^(?<y>\\d{4})$", "2026", "26"),
    _pattern("BC", "ABCD", "AB"),
    _pattern("^.$", "a", "\u2028", "ab"),
    _pattern("", "a", ""),
    _format("date", "2026-01-02", "2026-02-30", "2026-1-2", "x"),
    _format("date-time", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05Z", "2026-01-02T03:04", "x"),
    _format("time", "03:04:05Z", "03:04:05", "25:00:00Z"),
    _format("email", "a@b.example", "a@b", "no mail", "a..b@c.example"),
    _format("uri", "https://a.example/x", "a.example", "urn:x:y", "https://a b"),
    _format("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567", "urn:uuid:x"),
    _format("ipv4", "10.0.0.1", "10.0.0.256", "010.0.0.1"),
    _format("hostname", "a.example", "-a", "a_b"),
    _format("regex", "^a$", "[", "(?<n>a)"),
    _format("part-number", "x", ""),
)  # fmt: skip
_UNUSUAL = (
    "format", "pattern", "definitions", "dependencies", "uniqueItems", "multipleOf", "$defs", "if",
    "propertyNames", "patternProperties", "oneOf", "anyOf", "allOf", "not", "contains", "const",
    "minProperties", "additionalItems", "items",
)  # fmt: skip


def words(schema: Schema) -> tuple[str, ...]:
    """Return by which words a note may name what is unusual in a schema."""
    text = repr(schema.schema)
    return (*(f"'{word}'" for word in _UNUSUAL if f"'{word}'" in text), "schema", "pattern")


def draw_one(draw: Random) -> Schema:
    """Return a schema; the plain ones as often as all others together."""
    return draw.choice(SCHEMAS[:4] if draw.random() < 0.4 else SCHEMAS)
