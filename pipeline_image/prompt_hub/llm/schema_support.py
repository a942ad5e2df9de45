"""What each class of provider does with each word of an output schema.

This is the one source of the table in `docs/schemas.md`, of the warnings of `prompt-hub validate`
and of the form in which a schema is sent. What providers say of themselves is taken from their
pages; what endpoints do that say nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue

from prompt_hub.repository.contracts import keywords_in, referred, subschemas
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import JsonObject


class Treatment(StrEnum):
    """What becomes of a word of a schema. The check of each answer holds all of them."""

    KEPT = "kept"
    """No answer that breaks it can come."""
    IGNORED = "ignored"
    """It is taken, and answers may break it."""
    SHOWN = "shown"
    """The model reads it; answers may break it."""
    TOLD = "refused, told in the description"
    """It is left out of the schema, and written into the description beside it."""
    LOOSE = "refused, sent with strict: false"
    """The whole schema is only shown to the model, since the provider would refuse it as strict."""


@dataclass(frozen=True, kw_only=True)
class SchemaSupport:
    """What one class of provider does with an output schema."""

    name: str
    """The provider, or the class of endpoints, as people know it."""
    source: str
    """Where that is written, or how it was measured."""
    strict: bool = True
    """Whether it refuses, as OpenAI does under `strict`, a property that may be left out."""
    default: Treatment = Treatment.KEPT
    """What becomes of a word that is not named below."""
    treatments: Mapping[str, Treatment] = field(default_factory=dict)
    """What becomes of each word; `WORDS` has the names."""
    formats: frozenset[str] = frozenset()
    """The formats that it holds answers to."""
    skipped_formats: frozenset[str] = frozenset()
    """The formats that it takes, and holds no answer to."""
    levels: int = 10
    """How deep objects may lie in one another."""
    properties: int = 5000
    """How many properties all objects may have together."""

    def treatment(self, word: str) -> Treatment:
        """Say what becomes of a word, by its name in `WORDS`."""
        return self.treatments.get(word, self.default)

    def of_format(self, name: str) -> Treatment:
        """Say what becomes of a `format`."""
        if name in self.skipped_formats:
            return Treatment.IGNORED
        return self.treatment("format" if name in self.formats else "other format")


WORDS: Mapping[str, str] = {
    "type": "`type`, `properties`, `required`, `items`, `enum`, `const`, `$ref`, `anyOf`",
    "open": "`additionalProperties` that is true or a schema; an object of any properties",
    "untyped": "a value of any type: `true`, `{}`",
    "oneOf": "`oneOf`, as far as that one at least fits",
    "allOf": "`allOf`",
    "beside": "`anyOf`, `oneOf`, `allOf` beside a `type`, so those of the whole answer",
    "not": "`not`",
    "if": "`if`, `then`, `else`",
    "recursion": "a `$ref` to what contains it",
    "by name": "`$id`, `$anchor`, `$dynamicRef`",
    "minLength": "`minLength`, `maxLength`",
    "pattern": "`pattern`",
    "free pattern": "`pattern` with `\\d`, `\\w`, `\\s`, `\\p`, or not between `^` and `$`",
    "format": "`format`, of those named below",
    "other format": "`format`, others",
    "integer bound": "`minimum`, `maximum` and their exclusive forms, of an integer",
    "number bound": "the same, of a number",
    "multipleOf": "`multipleOf`",
    "minItems": "`minItems` of 0 or 1",
    "more items": "`minItems` of more, `maxItems`",
    "uniqueItems": "`uniqueItems`",
    "contains": "`contains`, `minContains`, `maxContains`",
    "prefixItems": "`prefixItems`, `items: false`",
    "patternProperties": "`patternProperties`",
    "names": "`propertyNames`, `minProperties`, `maxProperties`",
    "dependent": "`dependentRequired`, `dependentSchemas`",
    "unevaluated": "`unevaluatedItems`, `unevaluatedProperties`",
    "note": "`default`, `examples`, `contentEncoding`, `contentMediaType`",
    "values": "more than 1000 values in all `enum` together",
}
"""The rows of the table. One row may stand for several keywords that share their fate."""

_ROW = {
    **dict.fromkeys(("then", "else"), "if"),
    **dict.fromkeys(("$id", "$anchor", "$dynamicAnchor", "$dynamicRef"), "by name"),
    **dict.fromkeys(("dependentRequired", "dependentSchemas"), "dependent"),
    **dict.fromkeys(("maxLength",), "minLength"),
    **dict.fromkeys(("maxItems",), "more items"),
    **dict.fromkeys(("minContains", "maxContains"), "contains"),
    **dict.fromkeys(("propertyNames", "minProperties", "maxProperties"), "names"),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), "unevaluated"),
    **dict.fromkeys(("default", "examples", "contentEncoding", "contentMediaType"), "note"),
    **{word: word for word in WORDS if word not in {"type", "beside"}},
}
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
COMBINED = ("anyOf", "oneOf", "allOf")
MOST_VALUES = 1000


def word_of(part: JsonObject, keyword: str, schema: JsonObject) -> str:
    """Return the row of `WORDS` that a keyword of `part`, which is inside `schema`, belongs to."""
    value = part[keyword]
    if keyword in COMBINED and "type" in part:
        return "beside"
    if keyword == "$ref" and _is_recursive(value, schema):
        return "recursion"
    if keyword == "additionalProperties" and value is not False:
        return "open"
    if keyword == "items" and value is False:
        return "prefixItems"
    if keyword in _BOUNDS:
        return "number bound" if "number" in types_of(part) else "integer bound"
    if keyword == "pattern" and isinstance(value, str) and _is_free(value):
        return "free pattern"
    if keyword == "minItems" and value not in (0, 1):
        return "more items"
    return _ROW.get(keyword, "type")


def _is_recursive(reference: JsonValue, schema: JsonObject) -> bool:
    """Say whether what `reference` leads to refers to it again."""
    seen: set[str] = set()
    waiting = [str(reference)]
    while waiting:
        for _, keyword, value in keywords_in(referred(waiting.pop(), schema)):
            if keyword == "$ref" and value == reference:
                return True
            if keyword == "$ref" and isinstance(value, str) and value not in seen:
                seen.add(value)
                waiting.append(value)
    return False


def _is_free(pattern: str) -> bool:
    anchored = pattern.startswith("^") and pattern.endswith("$")
    return not anchored or any(f"\\{letter}" in pattern for letter in "dDwWsSbBpP")


def types_of(part: JsonObject) -> tuple[str, ...]:
    """Return the types that `part` names; none if it names none."""
    named = part.get("type")
    names = named if isinstance(named, list) else [named]
    return tuple(name for name in names if isinstance(name, str))


def treated_words(
    schema: JsonObject, support: SchemaSupport
) -> Iterator[tuple[Location, str, Treatment]]:
    """Yield every word of a schema that an answer can break: where, which, what becomes of it."""
    for here, part in subschemas(schema):
        if not isinstance(part, dict):
            if part and here[-1:] != ("additionalProperties",):
                yield here, "true", support.treatment("untyped")
            continue
        for keyword, value in part.items():
            if keyword == "format" and isinstance(value, str):
                treatment = support.of_format(value)
            else:
                word = word_of(part, keyword, schema)
                if word == "note":
                    continue  # no answer can break it
                treatment = support.treatment(word)
            yield (*here, keyword), keyword, treatment


_TOLD, _LOOSE, _IGNORED = Treatment.TOLD, Treatment.LOOSE, Treatment.IGNORED
_OPENAI_FORMATS = frozenset(
    "date-time time date duration email hostname ipv4 ipv6 uuid".split()  # noqa: SIM905
)
_GRAMMAR_FORMATS = frozenset({"date", "time", "date-time", "uuid"})
_OPENAI: Mapping[str, Treatment] = {
    **dict.fromkeys(
        (
            "beside",
            "not",
            "if",
            "uniqueItems",
            "contains",
            "names",
            "dependent",
            "unevaluated",
            "note",
            "other format",
        ),
        _TOLD,
    ),
    **dict.fromkeys(
        ("open", "untyped", "allOf", "by name", "prefixItems", "patternProperties", "values"),
        _LOOSE,
    ),
}
_LENGTHS_AND_BOUNDS = dict.fromkeys(
    (
        "minLength", "pattern", "free pattern", "integer bound", "number bound", "multipleOf",
        "more items",
    ),
    _TOLD,
)  # fmt: skip

OPENAI = SchemaSupport(
    name="openai",
    source="https://platform.openai.com/docs/guides/structured-outputs#supported-schemas",
    treatments=_OPENAI,
    formats=_OPENAI_FORMATS,
)
AZURE_OPENAI = SchemaSupport(
    name="azure-openai",
    source="https://learn.microsoft.com/azure/ai-services/openai/how-to/structured-outputs",
    treatments={
        **_OPENAI,
        **_LENGTHS_AND_BOUNDS,
        **dict.fromkeys(("minItems", "format", "other format"), _TOLD),
    },
    levels=5,
    properties=100,
)
BEDROCK = SchemaSupport(
    name="bedrock",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html",
    treatments={**_OPENAI, **_LENGTHS_AND_BOUNDS, "recursion": _LOOSE},
    formats=_OPENAI_FORMATS | {"uri"},
)
BEDROCK_CONVERSE = SchemaSupport(
    name="bedrock-converse",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use.html",
    strict=False,
    default=Treatment.SHOWN,
    treatments={"beside": _TOLD},
)
OPENAI_COMPATIBLE = SchemaSupport(
    name="openai-compatible",
    source="measured: chat completions of llama.cpp (xllamacpp 2026.10.11549)",
    treatments={
        **_OPENAI,
        **dict.fromkeys(("free pattern", "number bound", "multipleOf"), _IGNORED),
    },
    formats=_GRAMMAR_FORMATS,
    skipped_formats=_OPENAI_FORMATS - _GRAMMAR_FORMATS,
)
LOCAL_MODEL = SchemaSupport(
    name="local-model",
    source="measured: llguidance inside `make up`'s own server (xllamacpp 2026.10.11549)",
    strict=False,
    treatments=dict.fromkeys(
        (
            "not",
            "if",
            "uniqueItems",
            "contains",
            "dependent",
            "unevaluated",
            "other format",
            "note",
            "names",
            "by name",
        ),
        _IGNORED,
    ),
    formats=_OPENAI_FORMATS,
)

SUPPORTS = (OPENAI, AZURE_OPENAI, BEDROCK, BEDROCK_CONVERSE, OPENAI_COMPATIBLE, LOCAL_MODEL)
"""The columns of the table."""


def is_weak(treatment: Treatment) -> bool:
    """Whether an author should hear that only the check of each answer holds a word."""
    return treatment in {Treatment.IGNORED, Treatment.TOLD, Treatment.LOOSE}
